"""Helpers for tests that drop files into the landing folder of a home."""

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


def movement(number: int, **changes: Any) -> dict[str, Any]:
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


def drop(settings: Settings, name: str, content: bytes, topic: str = "inventory-updates", age: float = 10) -> Path:
    path = settings.home / "landing" / topic / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    old = path.stat().st_mtime - age
    os.utime(path, (old, old))
    return path


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def run_once(settings: Settings) -> tuple[RunReport, list[str]]:
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
    lake = Lake.open(settings)
    try:
        return lake.scan(table).collect()
    finally:
        lake.close()
