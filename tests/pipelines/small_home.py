"""A home with a few literal records, processed in this process."""

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.config.settings import Settings, load_settings
from pipelines.lake.catalog import Lake
from pipelines.log.interface import OUTGOING
from pipelines.log.open import open_log
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import RunReport
from warehouse.writer import Warehouse

TOPIC = "inventory-updates"
DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


def movement(number: int, **changes: Any) -> dict[str, Any]:
    """Return an inventory delivery at DAY + `number` minutes. A change to `...` omits the member."""
    event = {
        "event_id": f"e{number}",
        "event_type": "delivery",
        "event_time": (DAY + timedelta(minutes=number)).isoformat(),
        "update_id": f"u{number}",
        "product_id": "P1",
        "warehouse_id": "W1",
        "quantity": number + 1,
        "supplier_id": "S1",
        "unit_cost": 1.25,
    }
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


def sale(number: int, price: str, at: datetime) -> dict[str, Any]:
    """Return a sale of one unit."""
    return {
        "event_id": f"s{number}",
        "event_type": "sale",
        "event_time": at.isoformat(),
        "transaction_id": f"t{number}",
        "channel": "online",
        "payment_method": "card",
        "currency": "EUR",
        "items": [{"line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": price}],
    }


def send(
    home: Path,
    values: Sequence[Mapping[str, Any] | bytes | None],
    *,
    topic: str = TOPIC,
    partition: int | None = 1,
    at: datetime | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
    key: bytes | None = b"P1",
    settings: Settings | None = None,
) -> None:
    """Append records to the log of the home, or of the settings. Their timestamp is `at`, or the event time."""
    rows = [
        {
            "partition": partition,
            "timestamp": at or (datetime.fromisoformat(value["event_time"]) if isinstance(value, Mapping) else DAY),
            "key": key,
            "headers": [{"key": name, "value": text} for name, text in headers] or None,
            "value": json.dumps(value).encode() if isinstance(value, Mapping) else value,
        }
        for value in values
    ]
    chosen = settings or load_settings(home=home)
    with closing(open_log(chosen.log_url, kafka=chosen.kafka, topic_prefix=chosen.topic_prefix)) as log:
        log.ensure_topics([topic])
        log.append(topic, pa.Table.from_pylist(rows, schema=OUTGOING))


def run_layers(home: Path, *, gold: bool = False, new: bool = False, **settings: Any) -> RunReport:
    """Run bronze and silver, and optionally gold, until caught up."""
    chosen = load_settings(home=home, **settings)
    layers = ("bronze", "silver", "gold") if gold else ("bronze", "silver")
    warehouse = Warehouse(chosen.home / "gold") if gold else None
    try:
        return run(
            chosen,
            layers,
            follow=False,
            gold=warehouse,
            clock=lambda: datetime.now(UTC),
            progress=lambda progress: None,
            stop=threading.Event(),
            new=new,
        )
    finally:
        if warehouse is not None:
            warehouse.close()


def run_gold(home: Path, warehouse: Warehouse) -> RunReport:
    """Bring this warehouse up to date with silver."""
    return run(
        load_settings(home=home),
        ("gold",),
        follow=False,
        gold=warehouse,
        clock=lambda: datetime.now(UTC),
        progress=lambda progress: None,
        stop=threading.Event(),
    )


def rows(settings: Settings, table: str) -> pl.DataFrame:
    """Return the current rows of a table."""
    with closing(Lake.open(settings)) as lake:
        return lake.scan(table).collect()


def log_records(home: Path, topic: str = TOPIC) -> list[dict[str, Any]]:
    """Return all records of a topic in the log."""
    with closing(open_log(load_settings(home=home).log_url)) as log:
        state = log.topic_state(topic)
        found: list[dict[str, Any]] = log.poll(topic, dict(state.first_offsets), 10_000).records.to_pylist()
        return found
