"""The contract of each topic: the only place that knows fields, types, nullability, ranges, values and rules.

Each contract is a dataframely schema of the event's own columns as silver keeps them. What a column type cannot say
stands in its `metadata`: `kind` (how the JSON value is read), `required_for` (event types that need it; absent with
nullable=False: all but a delete) and bounds on the raw JSON value. `CONTRACTS` is the same read once into plain values
(`Contract`, `Field`), which parsers, producers, docs and JSON Schemas use. Source: design.md section 2, rules R1-R13.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import dataframely as dy

VERSION = 1  # goes up with every change of a contract; silver's table properties say from which batch it holds

Kind = Literal["text", "enum", "integer", "money", "time", "date", "boolean", "texts", "lines"]

MONEY_PRECISION, MONEY_SCALE = 18, 4
MONEY_LIMIT = Decimal(10) ** (MONEY_PRECISION - MONEY_SCALE)  # |x| after rounding must stay below
FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2100, 12, 31)
MAX_DEPTH = 128  # levels of nesting; the record's own object is level 1
WHITE_SPACE = " \t\r\n"  # R2; a required text of nothing else counts as missing
MAX_EVOLVED_COLUMNS = 50
EVOLVED_NAME = r"[a-z][a-z0-9_]{0,62}"

HOUSE_CURRENCY = "currency"  # field whose only value is the setting ANIMEVERSE_CURRENCY


def _text(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.String:
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "text", "required_for": required_for},
    )


def _enum(
    description: str, values: tuple[str, ...], *, optional: bool = False, required_for: tuple[str, ...] = ()
) -> dy.String:
    return dy.String(
        nullable=optional or bool(required_for),
        description=description,
        metadata={"kind": "enum", "values": values, "required_for": required_for},
    )


def _integer(
    description: str,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    optional: bool = False,
    required_for: tuple[str, ...] = (),
    signed_for: tuple[str, ...] = (),
) -> dy.Int64:
    """`signed_for`: event types to which the bounds do not apply."""
    return dy.Int64(
        nullable=optional or bool(required_for),
        min=None if signed_for else minimum,
        max=maximum,
        description=description,
        metadata={
            "kind": "integer",
            "minimum": minimum,
            "maximum": maximum,
            "required_for": required_for,
            "signed_for": signed_for,
        },
    )


def _money(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Decimal:
    return dy.Decimal(
        MONEY_PRECISION,
        MONEY_SCALE,
        nullable=optional or bool(required_for),
        min=0,
        description=description,
        metadata={"kind": "money", "minimum": 0, "required_for": required_for},
    )


def _time(description: str) -> dy.Datetime:
    return dy.Datetime(time_zone="UTC", time_unit="us", description=description, metadata={"kind": "time"})


def _date(description: str, *, optional: bool = False, required_for: tuple[str, ...] = ()) -> dy.Date:
    return dy.Date(
        nullable=optional or bool(required_for),
        min=FIRST_DATE,
        max=LAST_DATE,
        description=description,
        metadata={"kind": "date", "required_for": required_for},
    )


def _boolean(description: str, *, required_for: tuple[str, ...] = ()) -> dy.Bool:
    return dy.Bool(
        nullable=bool(required_for), description=description, metadata={"kind": "boolean", "required_for": required_for}
    )


def _texts(description: str, *, required_for: tuple[str, ...] = ()) -> dy.List:
    return dy.List(
        dy.String(nullable=False),
        nullable=bool(required_for),
        description=description,
        metadata={"kind": "texts", "required_for": required_for},
    )


class Event(dy.Schema):
    """What every event of every topic carries."""

    event_id = _text("unique for ever within its topic")
    event_time = _time("when it happened; RFC 3339 with offset, kept in UTC to the microsecond")


class SaleLine(dy.Schema):
    """One line of a transaction's `items`."""

    line_number = _integer("position on the receipt, unique in the event", minimum=1)
    product_id = _text("what was sold")
    quantity = _integer("units; positive in returns, too", minimum=1)
    unit_price = _money("price of one unit before discount")
    discount_amount = _money("taken off the whole line", optional=True)


class PosTransactions(Event):
    """A sale or a return in a store, on the web or on mobile."""

    event_type = _enum("what happened", ("sale", "return"))
    transaction_id = _text("the receipt")
    original_transaction_id = _text("of a return: the sale it takes back, never looked up", optional=True)
    customer_id = _text("absent for a guest", optional=True)
    channel = _enum("where it was sold", ("store", "online", "mobile"))
    store_id = _text("which store", optional=True)
    payment_method = _text("how it was paid")
    currency = dy.String(
        nullable=False, description="the house currency", metadata={"kind": "enum", "values": (), "required_for": ()}
    )
    items = dy.List(
        dy.Struct(SaleLine.columns()),
        nullable=False,
        min_length=1,
        description="the lines",
        metadata={"kind": "lines", "required_for": ()},
    )


class CinemaSales(Event):
    """A booking of seats for one screening, or its cancellation."""

    event_type = _enum("what happened", ("booking", "cancellation"))
    booking_id = _text("the booking")
    customer_id = _text("absent for a guest", optional=True)
    screening_id = _text("the screening")
    title_id = _text("the film")
    theater_id = _text("the hall")
    screening_time = dy.Datetime(
        time_zone="UTC",
        time_unit="us",
        description="when the screening begins",
        metadata={"kind": "time", "years": (FIRST_DATE.year, LAST_DATE.year)},
    )
    ticket_type = _enum("class of ticket", ("standard", "premium", "vip", "4dx", "child", "complimentary"))
    seats_booked = _integer("seats", minimum=1)
    ticket_price = _money("price of one seat")
    concession_amount = _money("popcorn and the like", optional=True)
    channel = _enum("where it was booked", ("box_office", "online", "mobile"))
    payment_method = _text("how it was paid")


class InventoryUpdates(Event):
    """A movement of stock in one warehouse."""

    event_type = _enum("what happened", ("delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage"))
    update_id = _text("the movement")
    product_id = _text("what was moved")
    warehouse_id = _text("where")
    quantity = _integer("units; signed for an adjustment, else positive", minimum=1, signed_for=("adjustment",))
    supplier_id = _text("who delivered", required_for=("delivery",))
    unit_cost = _money("cost of one unit", optional=True)
    shipment_date = _date("when it left", optional=True)
    expected_delivery = _date("when it was due", optional=True)
    quality_status = _enum("result of the inspection", ("approved", "pending", "rejected"), optional=True)


class CustomerReviews(Event):
    """A customer's word on a product or a film."""

    event_type = _enum("what happened", ("review",))
    review_id = _text("the review")
    customer_id = _text("who wrote it")
    product_id = _text("the product reviewed, unless a title is", optional=True)
    title_id = _text("the title reviewed, unless a product is", optional=True)
    rating = _integer("stars", minimum=1, maximum=5)
    review_text = _text("the words", optional=True)
    verified_purchase = _boolean("the reviewer bought it here")
    helpful_votes = _integer("readers it helped", minimum=0, optional=True)


_UPSERT = ("upsert",)


class CustomerProfiles(Event):
    """A customer's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    customer_id = _text("the customer")
    name = _text("full name", required_for=_UPSERT)
    email = _text("address for mail", required_for=_UPSERT)
    signup_date = _date("first day as a customer", required_for=_UPSERT)
    birth_date = _date("day of birth", optional=True)
    city = _text("home city", required_for=_UPSERT)
    country = _text("home country", required_for=_UPSERT)
    loyalty_tier = _enum("rank", ("none", "bronze", "silver", "gold"), required_for=_UPSERT)
    preferred_genres = _texts("what they like, best first", required_for=_UPSERT)
    marketing_opt_in = _boolean("may be written to", required_for=_UPSERT)


class ProductCatalog(Event):
    """A product's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    product_id = _text("the product")
    name = _text("what it is called", required_for=_UPSERT)
    category = _text("kind of product", required_for=_UPSERT)
    title_id = _text("the anime it belongs to", optional=True)
    supplier_id = _text("who makes it", required_for=_UPSERT)
    list_price = _money("price before discount", required_for=_UPSERT)
    unit_cost = _money("cost of one unit", required_for=_UPSERT)
    reorder_point = _integer("order again under this stock", minimum=0, required_for=_UPSERT)
    status = _enum("on sale or not", ("active", "discontinued"), required_for=_UPSERT)


class AnimeSchedule(Event):
    """An anime title's master data as of event_time, or the end of it."""

    event_type = _enum("what happened", ("upsert", "delete"))
    title_id = _text("the title")
    title = _text("what it is called", required_for=_UPSERT)
    genres = _texts("its genres, main one first", required_for=_UPSERT)
    studio = _text("who made it", required_for=_UPSERT)
    age_rating = _text("from which age", required_for=_UPSERT)
    runtime_minutes = _integer("length in minutes", minimum=0, required_for=_UPSERT)
    release_date = _date("first day in cinemas", required_for=_UPSERT)
    run_start = _date("first day of our run", optional=True)
    run_end = _date("last day of our run", optional=True)
    status = _enum("where it stands", ("announced", "showing", "ended"), required_for=_UPSERT)


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an event, or of a line of `items`. Bounds are inclusive and hold for the value before rounding."""

    name: str
    kind: Kind
    description: str
    optional: bool  # may be null or absent for every event type
    required_for: frozenset[str] = frozenset()  # event types that need it; empty and not optional: all of them
    values: tuple[str, ...] = ()  # of an enum; empty for `currency`: the house currency is a setting
    minimum: int | None = None
    maximum: int | None = None
    signed_for: frozenset[str] = frozenset()  # event types to which the bounds do not apply
    years: tuple[int, int] | None = None  # of a time other than event_time
    lines: tuple["Field", ...] = ()  # of `items`

    def is_required(self, event_type: str | None) -> bool:
        """Whether an event of this type needs it; `None` is an event type that is not known (R4)."""
        if self.optional:
            return False
        return not self.required_for or event_type in self.required_for

    def is_bounded(self, event_type: str | None) -> bool:
        """Whether minimum and maximum apply; unknown event types are only held to unconditional rules (R4)."""
        return event_type not in self.signed_for and not (self.signed_for and event_type is None)


@dataclass(frozen=True, slots=True)
class Contract:
    """What an event of one topic must look like."""

    topic: str
    key_field: str  # its text is the record's key
    is_master: bool  # master data: changes of one member, no lateness limit
    schema: type[dy.Schema]
    fields: tuple[Field, ...]  # event_id, event_time, event_type first
    one_of: tuple[str, ...] = ()  # exactly one of these must be there: rule:one_subject

    @property
    def table(self) -> str:
        """The topic's name as part of a table's name: `pos_transactions`."""
        return self.topic.replace("-", "_")

    @property
    def event_types(self) -> tuple[str, ...]:
        """Known event types."""
        return self.field("event_type").values

    @property
    def delete_fields(self) -> tuple[str, ...]:
        """All that is read of a `delete` (R11)."""
        return ("event_id", "event_time", "event_type", self.key_field)

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def _field(name: str, column: dy.Column) -> Field:
    meta: Mapping[str, Any] = column.metadata or {}
    required_for = frozenset(meta.get("required_for", ()))
    inner: tuple[Field, ...] = ()
    if meta["kind"] == "lines":
        inner = tuple(_field(part, sub) for part, sub in SaleLine.columns().items())
    return Field(
        name=name,
        kind=meta["kind"],
        description=column.description or "",
        optional=column.nullable and not required_for,
        required_for=required_for,
        values=tuple(meta.get("values", ())),
        minimum=meta.get("minimum"),
        maximum=meta.get("maximum"),
        signed_for=frozenset(meta.get("signed_for", ())),
        years=meta.get("years"),
        lines=inner,
    )


def _contract(
    topic: str, key_field: str, schema: type[dy.Schema], *, is_master: bool = False, one_of: tuple[str, ...] = ()
) -> Contract:
    fields = tuple(_field(name, column) for name, column in schema.columns().items())
    return Contract(topic, key_field, is_master, schema, fields, one_of)


CONTRACTS: Mapping[str, Contract] = {
    contract.topic: contract
    for contract in (
        _contract("pos-transactions", "transaction_id", PosTransactions),
        _contract("cinema-sales", "booking_id", CinemaSales),
        _contract("inventory-updates", "product_id", InventoryUpdates),
        _contract("customer-reviews", "customer_id", CustomerReviews, one_of=("product_id", "title_id")),
        _contract("customer-profiles", "customer_id", CustomerProfiles, is_master=True),
        _contract("product-catalog", "product_id", ProductCatalog, is_master=True),
        _contract("anime-schedule", "title_id", AnimeSchedule, is_master=True),
    )
}

TOPICS: tuple[str, ...] = tuple(CONTRACTS)
BUSINESS_TOPICS: tuple[str, ...] = tuple(topic for topic, contract in CONTRACTS.items() if not contract.is_master)
