"""The records that the chaos suite sends, and the verdicts that it expects from their bytes alone.

Copies of an event follow it in the same partition, since they have its key. So the first record with an id is accepted,
equal ones are duplicates, others conflict; a record that is not JSON is quarantined.
"""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.log.interface import OUTGOING
from pipelines.log.open import open_log

TOPICS = ("pos-transactions", "inventory-updates", "customer-reviews", "customer-profiles")
_DUPLICATE, _CONFLICT, _BROKEN, _LATE = 0.05, 0.01, 0.03, 0.05  # shares
_RECENT_EVENTS = 300  # from which copies are chosen


def event(topic: str, event_id: str, key: str, at: datetime, rng: random.Random) -> dict[str, Any]:
    """Return a valid event."""
    common = {"event_id": event_id, "event_time": at.isoformat()}
    if topic == "pos-transactions":
        lines = [
            {
                "line_number": n,
                "product_id": f"P{rng.randrange(40)}",
                "quantity": rng.randint(1, 5),
                "unit_price": "9.95",
            }
            for n in range(1, rng.randint(2, 4))
        ]
        more: dict[str, Any] = {"event_type": "sale", "transaction_id": key, "channel": "online", "items": lines}
        return common | more | {"payment_method": "card", "currency": "EUR", "customer_id": f"C{rng.randrange(50)}"}
    if topic == "inventory-updates":
        more = {"event_type": "delivery", "update_id": event_id, "product_id": key, "warehouse_id": "W1"}
        return common | more | {"quantity": rng.randint(1, 90), "supplier_id": "S1", "unit_cost": 2.5}
    if topic == "customer-reviews":
        more = {"event_type": "review", "review_id": event_id, "customer_id": key, "product_id": "P1"}
        return common | more | {"rating": rng.randint(1, 5), "verified_purchase": True}
    more = {"event_type": "upsert", "customer_id": key, "name": "A", "email": "a@b.c", "signup_date": "2026-01-02"}
    tier, genres = rng.choice(["none", "gold"]), ["mecha"]
    return (
        common
        | more
        | {
            "city": rng.choice(["Kyoto", "Nara"]),
            "country": "JP",
            "loyalty_tier": tier,
            "preferred_genres": genres,
            "marketing_opt_in": True,
        }
    )


def produce(log_url: str, name: str, rate: float, stop: Path) -> None:
    """Append small batches until the file `stop` exists; `name` makes the ids unique."""
    rng, number = random.Random(name), 0
    recent: list[tuple[str, str, bytes]] = []
    with closing(open_log(log_url)) as log:
        while not stop.exists():
            rows: dict[str, list[tuple[str, bytes]]] = {topic: [] for topic in TOPICS}
            for _ in range(max(1, round(rate / 20))):
                number += 1
                topic, kind = rng.choice(TOPICS), rng.random()
                if recent and kind < _DUPLICATE:
                    topic, key, value = rng.choice(recent)
                    rows[topic].append((key, value))
                elif recent and kind < _DUPLICATE + _CONFLICT:
                    topic, key, value = rng.choice(recent)
                    rows[topic].append((key, json.dumps(json.loads(value) | {"conflict": number}).encode()))
                elif kind < _DUPLICATE + _CONFLICT + _BROKEN:
                    rows[topic].append(("K", b"no json " + f"{name}-{number}".encode()))
                else:
                    at = datetime.now(UTC) - timedelta(seconds=rng.uniform(1200, 3000) if rng.random() < _LATE else 1)
                    key = f"{name}-{number}" if topic == "pos-transactions" else f"K{rng.randrange(60)}"
                    made = json.dumps(event(topic, f"{name}-{number}", key, at, rng)).encode()
                    rows[topic].append((key, made))
                    recent = [*recent[-_RECENT_EVENTS:], (topic, key, made)]
            for topic, records in rows.items():
                found = [{"key": key.encode(), "value": value} for key, value in records]
                if found:
                    log.append(topic, pa.Table.from_pylist(found, schema=OUTGOING))
            time.sleep(0.05)


@dataclass(slots=True)
class ExpectedVerdicts:
    """The expected verdicts of a topic's records."""

    records: int = 0
    accepted: set[str] = field(default_factory=set)
    lines: int = 0
    duplicates: int = 0
    quarantined: Counter[bytes] = field(default_factory=Counter)
    values: dict[tuple[int, int], bytes] = field(default_factory=dict)  # by partition and offset


def expected_verdicts(log_url: str, topic: str) -> ExpectedVerdicts:
    """Derive the verdicts from the log."""
    found = ExpectedVerdicts()
    with closing(open_log(log_url)) as log:
        state = log.topic_state(topic)
        positions = dict(state.first_offsets)
        while any(positions[p] < state.end_offsets[p] for p in positions):
            polled = log.poll(topic, positions, 50_000)
            positions = dict(polled.next_offsets)
            for row in polled.records.select(["partition", "offset", "value"]).to_pylist():
                found.values[row["partition"], row["offset"]] = row["value"]
    first: dict[str, bytes] = {}
    for _, value in sorted(found.values.items()):
        found.records += 1
        if value.startswith(b"no json"):
            found.quarantined[value] += 1
            continue
        made = json.loads(value)
        if first.setdefault(made["event_id"], value) != value:
            found.quarantined[value] += 1
        elif made["event_id"] in found.accepted:
            found.duplicates += 1
        else:
            found.accepted.add(made["event_id"])
            found.lines += len(made.get("items", ()))
    return found


def checksum(ids: Iterable[str]) -> str:
    """Return a checksum of a set of ids, independent of their order."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]
