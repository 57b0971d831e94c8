"""A valid event of each topic, and functions that write events as chosen bytes."""

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any

from .silver import Record

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that is written into the JSON unchanged: a number with its digits, or invalid text."""

    text: str


PLAIN: dict[str, dict[str, Any]] = {
    "pos-transactions": {
        "event_type": "sale",
        "transaction_id": "T1",
        "customer_id": "C1",
        "channel": "online",
        "payment_method": "card",
        "currency": "EUR",
        "items": [
            {"line_number": 1, "product_id": "P1", "quantity": 2, "unit_price": Raw("9.99"), "discount_amount": 1},
            {"line_number": 2, "product_id": "P2", "quantity": 1, "unit_price": "5.00"},
        ],
    },
    "cinema-sales": {
        "event_type": "booking",
        "booking_id": "B1",
        "customer_id": "C1",
        "screening_id": "S1",
        "title_id": "A1",
        "theater_id": "H1",
        "screening_time": "2026-03-03T19:30:00Z",
        "ticket_type": "standard",
        "seats_booked": 2,
        "ticket_price": Raw("11.50"),
        "concession_amount": Raw("7.25"),
        "channel": "box_office",
        "payment_method": "cash",
    },
    "inventory-updates": {
        "event_type": "delivery",
        "update_id": "U1",
        "product_id": "P1",
        "warehouse_id": "W1",
        "quantity": 40,
        "supplier_id": "V1",
        "unit_cost": Raw("4.2"),
        "shipment_date": "2026-02-27",
        "expected_delivery": "2026-03-02",
        "quality_status": "approved",
    },
    "customer-reviews": {
        "event_type": "review",
        "review_id": "R1",
        "customer_id": "C1",
        "title_id": "A1",
        "rating": 5,
        "review_text": "すごい",
        "verified_purchase": True,
        "helpful_votes": 3,
    },
    "customer-profiles": {
        "event_type": "upsert",
        "customer_id": "C1",
        "name": "Aiko Sato",
        "email": "aiko@example.com",
        "signup_date": "2025-04-01",
        "birth_date": "1999-12-31",
        "city": "Wien",
        "country": "AT",
        "loyalty_tier": "silver",
        "preferred_genres": ["isekai", "mecha"],
        "marketing_opt_in": False,
    },
    "product-catalog": {
        "event_type": "upsert",
        "product_id": "P1",
        "name": "Figure",
        "category": "figures",
        "title_id": "A1",
        "supplier_id": "V1",
        "list_price": Raw("9.99"),
        "unit_cost": Raw("4.20"),
        "reorder_point": 10,
        "status": "active",
    },
    "anime-schedule": {
        "event_type": "upsert",
        "title_id": "A1",
        "title": "Sky Garden",
        "genres": ["drama"],
        "studio": "Hoshi",
        "age_rating": "12",
        "runtime_minutes": 104,
        "release_date": "2026-02-20",
        "run_start": "2026-02-27",
        "run_end": "2026-04-30",
        "status": "showing",
    },
}


def event(topic: str, **changes: Any) -> dict[str, Any]:
    """Return the topic's valid event with members changed; `...` removes a member."""
    made = {"event_id": "E1", "event_time": iso(START), **copy.deepcopy(PLAIN[topic]), **changes}
    return {name: one for name, one in made.items() if one is not ...}


def at(seconds: float) -> datetime:
    """Return START plus `seconds`."""
    return START + timedelta(seconds=seconds)


def iso(moment: datetime) -> str:
    """Return a time such as `2026-03-02T12:00:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def encode(value: Any) -> bytes:
    """Return compact JSON; Raw parts are unchanged."""
    return write(value).encode("utf-8", "surrogatepass")


def write(value: Any, gap: str = "") -> str:
    """Return JSON text of str, int, bool, None, list, dict and Raw, with `gap` around every structural character."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        inner = f"{gap},{gap}".join(f"{json.dumps(k)}{gap}:{gap}{write(one, gap)}" for k, one in value.items())
        return f"{{{gap}{inner}{gap}}}"
    if isinstance(value, list):
        return f"[{gap}{f'{gap},{gap}'.join(write(one, gap) for one in value)}{gap}]"
    return json.dumps(value, ensure_ascii=False)


def record(
    topic: str,
    offset: int,
    seconds: float = 0,
    *,
    partition: int = 0,
    recorded: float | EllipsisType | None = ...,
    key: bytes | None = None,
    value: bytes | EllipsisType | None = ...,
    headers: tuple[tuple[str, bytes | None], ...] = (),
    batch_id: int = 1,
    **changes: Any,
) -> Record:
    """Return a record whose event happened `seconds` after START. Its default event_id is `E<partition>-<offset>`.

    Its timestamp is the event time, or `recorded` seconds after START; None means no timestamp.
    """
    if isinstance(value, EllipsisType):
        changes = {"event_id": f"E{partition}-{offset}", "event_time": iso(at(seconds)), **changes}
        value = encode(event(topic, **changes))
    known = seconds if isinstance(recorded, EllipsisType) else recorded
    return Record(topic, batch_id, partition, offset, None if known is None else at(known), key, value, headers)
