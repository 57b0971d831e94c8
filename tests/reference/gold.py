"""Gold, recomputed slowly from the accepted events. Source: R10, R12, R17, R31-R37, R43.

Rows are dicts. Instead of surrogate keys they hold the natural key and, where the dimension has versions, the
`valid_from` of the version joined: `UNKNOWN` is the row -1, `NOT_APPLICABLE` for -2.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

from .contract import Policy
from .contract_table import BUSINESS
from .history import Need, Version, histories, version_at
from .silver import Silver, Verdict, watermark

UNKNOWN, NOT_APPLICABLE = -1, -2
EXACT = Context(prec=200)
ZERO = Decimal("0.0000")
CUSTOMER, PRODUCT, TITLE = "customer-profiles", "product-catalog", "anime-schedule"
DAY = timedelta(days=1)
Row = dict[str, Any]


@dataclass(slots=True)
class Gold:
    """All gold tables that the reference computes."""

    versions: dict[tuple[str, str], list[Version]]
    sales: list[Row] = field(default_factory=list)
    attendance: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    movements: list[Row] = field(default_factory=list)
    daily: dict[date, Row] = field(default_factory=dict)
    engagement: dict[tuple[str, date], Row] = field(default_factory=dict)
    unmatched_returns: set[str] = field(default_factory=set)  # event_ids
    over_cancelled: set[str] = field(default_factory=set)  # booking_ids


def build(silver: Silver, policy: Policy | None = None) -> Gold:
    """Return gold for all accepted events."""
    with localcontext(EXACT):
        gold = Gold(histories(silver.accepted(), list(_needs(silver))))
        gold.sales = [row for one in silver.accepted("pos-transactions") for row in _sale_lines(gold, one)]
        gold.attendance = [_attendance(gold, one) for one in silver.accepted("cinema-sales")]
        gold.reviews = [_review(gold, one) for one in silver.accepted("customer-reviews")]
        gold.movements = [_movement(gold, one) for one in silver.accepted("inventory-updates")]
        gold.daily = _daily(gold, silver, policy or Policy())
        gold.engagement = _engagement(gold)
        gold.unmatched_returns = _unmatched_returns(silver)
        gold.over_cancelled = _over_cancelled(gold)
    return gold


def _needs(silver: Silver) -> Iterator[Need]:
    """Yield each member that a fact refers to, and the fact's time."""
    for one in silver.accepted():
        row, moment = one.row, one.row["event_time"]
        if one.record.topic not in BUSINESS:
            continue
        names = {"customer_id": CUSTOMER, "product_id": PRODUCT, "title_id": TITLE}
        for name, topic in names.items():
            if row.get(name) is not None:
                yield Need(topic, row[name], moment)
        for line in row.get("items", ()):
            yield Need(PRODUCT, line["product_id"], moment)


def _joined(gold: Gold, topic: str, key: str | None, moment: datetime, missing: int) -> tuple[Any, Any]:
    """Return natural key and valid_from of the version joined; both `missing` without a key."""
    if key is None:
        return missing, missing
    return key, version_at(gold.versions[topic, key], moment).valid_from


def _sale_lines(gold: Gold, one: Verdict) -> Iterator[Row]:
    sale, moment = one.row, one.row["event_time"]
    sign = -1 if sale["event_type"] == "return" else 1
    customer = _joined(gold, CUSTOMER, sale["customer_id"], moment, UNKNOWN)
    store = UNKNOWN if sale["store_id"] is None else sale["store_id"]
    for line in sale["items"]:
        product = version_at(gold.versions[PRODUCT, line["product_id"]], moment)
        quantity = sign * line["quantity"]
        discount = sign * (line["discount_amount"] or ZERO)
        net = quantity * line["unit_price"] - discount
        unit_cost = product.attributes.get("unit_cost")
        cost = None if unit_cost is None else quantity * unit_cost
        yield {
            "event_id": sale["event_id"],
            "transaction_id": sale["transaction_id"],
            "line_number": line["line_number"],
            "event_type": sale["event_type"],
            "event_time": moment,
            "date": moment.date(),
            "customer": customer,
            "product": (line["product_id"], product.valid_from),
            "store": store if sale["channel"] == "store" else NOT_APPLICABLE,
            "channel": sale["channel"],
            "payment_method": sale["payment_method"],
            "quantity": quantity,
            "unit_price": line["unit_price"],
            "discount_amount": discount,
            "net_sales_amount": net,
            "cost_amount": cost,
            "gross_margin_amount": None if cost is None else net - cost,
        }


def _attendance(gold: Gold, one: Verdict) -> Row:
    booking, moment = one.row, one.row["event_time"]
    sign = -1 if booking["event_type"] == "cancellation" else 1
    return {
        "event_id": booking["event_id"],
        "booking_id": booking["booking_id"],
        "event_type": booking["event_type"],
        "event_time": moment,
        "date": moment.date(),
        "screening_id": booking["screening_id"],
        "customer": _joined(gold, CUSTOMER, booking["customer_id"], moment, UNKNOWN),
        "title": _joined(gold, TITLE, booking["title_id"], moment, UNKNOWN),
        "admissions": sign * booking["seats_booked"],
        "ticket_revenue_amount": sign * booking["seats_booked"] * booking["ticket_price"],
        "concession_amount": sign * (booking["concession_amount"] or ZERO),
    }


def _review(gold: Gold, one: Verdict) -> Row:
    review, moment = one.row, one.row["event_time"]
    return {
        "event_id": review["event_id"],
        "event_time": moment,
        "date": moment.date(),
        "customer": _joined(gold, CUSTOMER, review["customer_id"], moment, UNKNOWN),
        "product": _joined(gold, PRODUCT, review["product_id"], moment, NOT_APPLICABLE),
        "title": _joined(gold, TITLE, review["title_id"], moment, NOT_APPLICABLE),
        "rating": review["rating"],
    }


def _movement(gold: Gold, one: Verdict) -> Row:
    """Return the movement with a signed quantity: negative if it leaves the warehouse."""
    update, moment = one.row, one.row["event_time"]
    sign = -1 if update["event_type"] in ("transfer_out", "shrinkage") else 1
    return {
        "event_id": update["event_id"],
        "event_time": moment,
        "date": moment.date(),
        "product": _joined(gold, PRODUCT, update["product_id"], moment, UNKNOWN),
        "warehouse": update["warehouse_id"],
        "quantity": sign * update["quantity"],
    }


def on_hand(gold: Gold, product_id: str, warehouse_id: str, day: date) -> int:
    """Return the stock at the end of the day: the sum of all movements up to it."""
    place = (product_id, warehouse_id)
    return sum(
        row["quantity"]
        for row in gold.movements
        if (row["product"][0], row["warehouse"]) == place and row["date"] <= day
    )


def end_of(day: date) -> datetime:
    """Return the start of the next day."""
    return datetime.combine(day, time(), tzinfo=UTC) + DAY


def passed(silver: Silver, moment: datetime, policy: Policy, *, lateness: bool) -> bool:
    """Return whether each business topic with any record has a watermark >= moment (+ allowed_lateness)."""
    limit = moment + (policy.allowed_lateness if lateness else timedelta(0))
    topics = {topic for topic, _ in silver.partitions if topic in BUSINESS}
    marks = [watermark(silver, topic, policy) for topic in topics]
    return bool(marks) and all(mark is not None and mark >= limit for mark in marks)


def _daily(gold: Gold, silver: Silver, policy: Policy) -> dict[date, Row]:
    """Return a row for each day from the first to the last with an event of a business topic."""
    days = [one.row["event_time"].date() for one in silver.accepted() if one.record.topic in BUSINESS]
    if not days:
        return {}
    made: dict[date, Row] = {}
    for number in range((max(days) - min(days)).days + 1):
        day = min(days) + number * DAY
        sales = [row for row in gold.sales if row["date"] == day]
        seats = [row for row in gold.attendance if row["date"] == day]
        known = [row["gross_margin_amount"] for row in sales if row["gross_margin_amount"] is not None]
        made[day] = {
            "net_sales_amount": sum((row["net_sales_amount"] for row in sales), ZERO),
            "gross_margin_amount": sum(known, ZERO) if known or not sales else None,
            "lines_without_cost": len(sales) - len(known),
            "units": sum(row["quantity"] for row in sales),
            "orders": len({row["transaction_id"] for row in sales if row["event_type"] == "sale"}),
            "admissions": sum(row["admissions"] for row in seats),
            "ticket_revenue_amount": sum((row["ticket_revenue_amount"] for row in seats), ZERO),
            "concession_amount": sum((row["concession_amount"] for row in seats), ZERO),
            "is_final": passed(silver, end_of(day), policy, lateness=True),
        }
    return made


def _engagement(gold: Gold) -> dict[tuple[str, date], Row]:
    """Return the activity of each known customer on each day, over all channels."""
    made: dict[tuple[str, date], Row] = defaultdict(
        lambda: {
            "orders": set(),
            "units": 0,
            "net_sales_amount": ZERO,
            "bookings": 0,
            "admissions": 0,
            "ticket_revenue_amount": ZERO,
            "concession_amount": ZERO,
            "reviews": 0,
        }
    )
    for row in [*gold.sales, *gold.attendance, *gold.reviews]:
        if row["customer"][0] == UNKNOWN:
            continue
        day = made[row["customer"][0], row["date"]]
        if "quantity" in row:
            day["units"] += row["quantity"]
            day["net_sales_amount"] += row["net_sales_amount"]
            day["orders"] |= {row["transaction_id"]} if row["event_type"] == "sale" else set()
        elif "admissions" in row:
            for name in ("admissions", "ticket_revenue_amount", "concession_amount"):
                day[name] += row[name]
            day["bookings"] += row["event_type"] == "booking"
        else:
            day["reviews"] += 1
    return {place: {**day, "orders": len(day["orders"])} for place, day in made.items()}


def _unmatched_returns(silver: Silver) -> set[str]:
    """Return the event ids of returns without a known sale."""
    sold = {one.row["transaction_id"] for one in silver.accepted("pos-transactions") if one.row["event_type"] == "sale"}
    return {
        one.row["event_id"]
        for one in silver.accepted("pos-transactions")
        if one.row["event_type"] == "return" and one.row["original_transaction_id"] not in sold
    }


def _over_cancelled(gold: Gold) -> set[str]:
    """Return the bookings with more cancelled than booked seats."""
    seats: dict[str, int] = defaultdict(int)
    for row in gold.attendance:
        seats[row["booking_id"]] += row["admissions"]
    return {booking_id for booking_id, left in seats.items() if left < 0}
