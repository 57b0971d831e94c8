"""Worlds and logs shared by the tests of the producers."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.registry import TOPICS
from pipelines.log.embedded.log import EmbeddedLog
from producers.data_faults import DataFaults
from producers.world import Batch, World

Events = dict[str, list[dict[str, Any]]]

SMALL = World(seed=7, start=date(2026, 9, 1), days=14, events=12_000)


@pytest.fixture(scope="session")
def batches() -> list[Batch]:
    """A small world with the default faults."""
    return list(SMALL.batches())


@pytest.fixture(scope="session")
def clean() -> Events:
    """The events of a world without faults, by topic, in order of event_time."""
    events: Events = {}
    for batch in World(11, date(2026, 9, 1), 21, 15_000, DataFaults.none()).batches():
        events.setdefault(batch.topic, []).extend(json.loads(value) for value in batch.records["value"].to_pylist())
    return {topic: sorted(rows, key=lambda event: event["event_time"]) for topic, rows in events.items()}


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedLog:
    """An empty embedded log with all topics."""
    log = EmbeddedLog(tmp_path / "log.db")
    log.ensure_topics(TOPICS)
    return log
