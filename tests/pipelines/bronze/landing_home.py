"""A home with landing files, run through bronze and silver in this process."""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.config.settings import Settings
from pipelines.lake.catalog import Lake
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import RunReport

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPIC = "inventory-updates"
HEADER = "event_id,event_type,event_time,update_id,product_id,warehouse_id,quantity,supplier_id,unit_cost\n"


def movement(number: int, **changes: Any) -> dict[str, Any]:
    """A delivery; a change to `...` leaves the member out."""
    event = {
        "event_id": f"e{number}",
        "event_type": "delivery",
        "event_time": "2026-03-01T10:00:00Z",
        "update_id": f"u{number}",
        "product_id": "P1",
        "warehouse_id": "W1",
        "quantity": number + 1,
        "supplier_id": "S1",
        "unit_cost": 1.25,
    }
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


def lines(*events: dict[str, Any]) -> bytes:
    """Events as NDJSON."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def csv_row(number: int, **cells: str) -> str:
    """A delivery as a CSV row under HEADER."""
    values = {name: str(value) for name, value in movement(number).items()} | cells
    return ",".join(values.values()) + "\n"


def drop(settings: Settings, name: str, content: bytes | str, topic: str = TOPIC, age: float = 10) -> Path:
    """Put a file into the landing folder; `age` orders files."""
    path = settings.home / "landing" / topic / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    old = path.stat().st_mtime - age
    os.utime(path, (old, old))
    return path


def run_once(settings: Settings) -> tuple[RunReport, list[str]]:
    """The report and the messages of a run."""
    notes: list[str] = []
    report = run(
        settings,
        ("bronze", "silver"),
        follow=False,
        gold=None,
        clock=lambda: NOW,
        progress=lambda progress: notes.append(progress.note) if progress.note else None,
        stop=threading.Event(),
    )
    return report, notes


def rows(settings: Settings, table: str) -> pl.DataFrame:
    """A table's rows as they are now."""
    lake = Lake.open(settings)
    try:
        return lake.scan(table).collect()
    finally:
        lake.close()


def accepted(settings: Settings, topic: str = TOPIC) -> list[str]:
    """The event ids in silver."""
    lake = Lake.open(settings)
    try:
        table = lake.find(f"silver.{topic.replace('-', '_')}")
        return sorted(table.read(columns=["event_id"])["event_id"].to_pylist()) if table is not None else []
    finally:
        lake.close()


def reason_of(settings: Settings, name: str, topic: str = TOPIC) -> str:
    """The text of the `.reason` beside a rejected file."""
    return (settings.home / "landing/_rejected" / topic / f"{name}.reason").read_text().strip()
