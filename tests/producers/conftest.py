"""Worlds that several tests look at, each made once."""

import json
from datetime import date
from typing import Any

import pytest

from producers.data_faults import DataFaults
from producers.world import Batch, World

Events = dict[str, list[dict[str, Any]]]

SMALL = World(seed=7, start=date(2026, 9, 1), days=14, events=12_000)


@pytest.fixture(scope="session")
def batches() -> list[Batch]:
    """A small world with the usual dirt."""
    return list(SMALL.batches())


@pytest.fixture(scope="session")
def clean() -> Events:
    """The events of a world without dirt, by topic, in order of event_time."""
    events: Events = {}
    for batch in World(11, date(2026, 9, 1), 21, 15_000, DataFaults.none()).batches():
        events.setdefault(batch.topic, []).extend(json.loads(value) for value in batch.records["value"].to_pylist())
    return {topic: sorted(rows, key=lambda event: event["event_time"]) for topic, rows in events.items()}
