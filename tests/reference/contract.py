"""The parse and contract stages for one record's value. Source: R1-R13."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .contract_table import KEYS, LINE, MASTER, Member, members
from .rfc8259 import BLANK, NotJsonError, Object, Value, parse
from .values import (
    BadValueError,
    boolean_of,
    date_of,
    integer_of,
    is_blank,
    money_of,
    product,
    text_of,
    texts_of,
    time_of,
)

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a topic."""

    out_of_orderness: timedelta = timedelta(minutes=10)
    allowed_lateness: timedelta = timedelta(hours=48)
    future_tolerance: timedelta = timedelta(minutes=5)
    idle_timeout: timedelta = timedelta(minutes=5)
    currency: str = "EUR"
    drift: str = "evolve"  # or quarantine, freeze
    min_event_time: datetime = YEAR_2000


@dataclass(slots=True)
class Checked:
    """The result of the two stages. `row` is complete only without reasons."""

    reasons: set[str] = field(default_factory=set)
    row: dict[str, Any] = field(default_factory=dict)
    event: Object | None = None  # None if the value cannot be parsed
    extras: dict[str, Value] = field(default_factory=dict)  # members not in the contract; `items`: those of lines
    drift: list[str] = field(default_factory=list)  # names of extras, and `items.<name>` for lines
    warnings: set[str] = field(default_factory=set)

    @property
    def event_id(self) -> str | None:
        found = self.event.get("event_id") if self.event else None
        return found if isinstance(found, str) else None


def check(topic: str, value: bytes | None, policy: Policy) -> Checked:
    """Parse the value and check its contract. Reasons are all failed rules of the stage that stops it (R13)."""
    event = _parse(topic, value)
    if isinstance(event, str):
        return Checked(reasons={event})
    checked = Checked(event=event)
    event_type = _read_event_type(topic, event, checked)
    for member in members(topic):
        if member.name == "event_type" or not _is_checked(topic, member, event_type):
            continue
        checked.row[member.name] = _read(member, event.get(member.name), member.name, policy, checked)
    if topic == "inventory-updates":
        _check_inventory(event_type, checked)
    if topic == "customer-reviews":
        subjects = [name for name in ("product_id", "title_id") if event.get(name) is not None]
        if len(subjects) != 1:
            checked.reasons.add("rule:one_subject")
    if topic == "pos-transactions" and checked.row["channel"] == "store" and is_blank(checked.row["store_id"] or ""):
        checked.warnings.add("store_missing")
    if event_type != "delete":
        known = {member.name for member in members(topic)}
        unknown = {name: one for name, one in event.members if name not in known}
        checked.drift[:0] = unknown
        checked.extras = unknown | checked.extras
    return checked


def _parse(topic: str, value: bytes | None) -> Object | str:
    """Return the event, or the reason why it cannot be parsed."""
    if value is None or value.strip(BLANK.encode()) == b"":
        return "empty_value"
    try:
        event = parse(value)
    except NotJsonError:
        return "invalid_json"
    if not isinstance(event, Object):
        return "not_an_object"
    objects = [event]
    if topic == "pos-transactions":
        for name, lines in event.members:
            if name == "items" and isinstance(lines, list):
                objects += [line for line in lines if isinstance(line, Object)]
    for one in objects:
        if len(set(one.names())) != len(one.names()):
            return "duplicate_field"
    return event


def _read_event_type(topic: str, event: Object, checked: Checked) -> str | None:
    """Return the event's type; None if the topic does not have it."""
    member = next(one for one in members(topic) if one.name == "event_type")
    found: str | None = _read(member, event.get("event_type"), "event_type", Policy(), checked)
    checked.row["event_type"] = found
    return found


def _is_checked(topic: str, member: Member, event_type: str | None) -> bool:
    """Return whether the member is checked: four members of a delete (R11), the common ones of unknown types (R4)."""
    if topic in MASTER and event_type != "upsert":
        return member.name in ("event_id", "event_time", KEYS[topic])
    return not (member.name == "supplier_id" and topic == "inventory-updates" and event_type is None)


def _check_inventory(event_type: str | None, checked: Checked) -> None:
    if event_type == "delivery":
        supplier = checked.row["supplier_id"]
        if "type:supplier_id" not in checked.reasons and (supplier is None or is_blank(supplier)):
            checked.reasons.add("missing:supplier_id")
    quantity = checked.row["quantity"]
    if event_type not in (None, "adjustment") and quantity is not None and quantity <= 0:
        checked.reasons.add("range:quantity")


def _read(member: Member, value: Value, path: str, policy: Policy, checked: Checked) -> Any:
    """Return the typed value; None if it is null, absent or invalid (then with a reason)."""
    if value is None:
        if not member.optional:
            checked.reasons.add(f"missing:{path}")
        return None
    try:
        return _typed(member, value, path, policy, checked)
    except BadValueError as error:
        checked.reasons.add(f"{error.args[0]}:{path}")
        return None


def _typed(member: Member, value: Value, path: str, policy: Policy, checked: Checked) -> Any:
    match member.kind:
        case "text":
            return text_of(value, optional=member.optional)
        case "enum":
            word = text_of(value, optional=member.optional)
            if word not in ((policy.currency,) if member.name == "currency" else member.values):
                raise BadValueError("enum")
            return word
        case "integer":
            return integer_of(value, member.least, member.most)
        case "money":
            amount = money_of(value, member.least)
            if amount.rounded:
                checked.warnings.add("money_rounded")
            return amount.value
        case "date":
            return date_of(value, optional=member.optional)
        case "time" if member.name == "event_time":
            return time_of(value, lambda moment: moment >= policy.min_event_time)
        case "time":
            return time_of(value, lambda moment: 1900 <= moment.year <= 2100)
        case "boolean":
            return boolean_of(value)
        case "texts":
            return texts_of(value)
    return _lines(value, path, policy, checked)


def _lines(value: Value, path: str, policy: Policy, checked: Checked) -> list[dict[str, Any]]:
    """Return the lines of a sale, one row each."""
    if not isinstance(value, list):
        raise BadValueError("type")
    if not value:
        raise BadValueError("range")
    rows: list[dict[str, Any]] = []
    unknown: list[Value] = []
    numbers: list[int] = []
    for line in value:
        if not isinstance(line, Object):
            checked.reasons.add(f"type:{path}")
            continue
        row = {one.name: _read(one, line.get(one.name), f"{path}.{one.name}", policy, checked) for one in LINE}
        rows.append(row)
        numbers += _integers(line.get("line_number"))
        extras = Object(tuple((name, one) for name, one in line.members if name not in row))
        checked.drift += [f"{path}.{name}" for name in extras.names()]
        unknown.append(extras)
        quantity, price, discount = row["quantity"], row["unit_price"], row["discount_amount"]
        if None not in (quantity, price, discount) and discount > product(quantity, price):
            checked.warnings.add("discount_exceeds_line")
    if any(one != Object(()) for one in unknown):
        checked.extras["items"] = unknown
    if len(set(numbers)) != len(numbers):
        checked.reasons.add("rule:line_number")
    return rows


def _integers(value: Value) -> list[int]:
    """Return the value if it is an integer of any sign."""
    try:
        return [integer_of(value, None, None)]
    except BadValueError:
        return []
