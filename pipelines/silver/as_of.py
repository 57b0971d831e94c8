"""Silver as it was known at a moment: a filter on `_recorded_at`, so a function of the log (R40).

Records whose log gave them no timestamp were known at no moment that one could name: they are left out.
"""

import json
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.bronze.removed_range import RemovedRange
from pipelines.bronze.table import ensure_bronze
from pipelines.clock import to_micros
from pipelines.contracts.tables import QUARANTINE_NAME, ACCEPTED_RELEASES_NAME, checkpoint_table
from pipelines.lake.catalog import Lake
from pipelines.silver.changes import SilverChanges, partition_rows, silver_changes, stored_state
from pipelines.silver.watermark import PartitionState


def silver_as_of(lake: Lake, moment: datetime) -> SilverChanges:
    """All silver rows that had arrived in the log by then, and the per-partition state that they left."""
    now = silver_changes(lake, {})
    limit = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
    tables = {
        name: rows.filter(pa.compute.less_equal(rows.column("_recorded_at"), limit))
        for name, rows in now.tables.items()
    }
    state = {topic: (_state(lake, topic, moment), policy) for topic, (_, policy) in stored_state(lake).items()}
    return SilverChanges(tables, now.snapshots, partition_rows(state))


def _state(lake: Lake, topic: str, moment: datetime) -> dict[int, PartitionState]:
    """`high` from the events that moved it: accepted ones and conflicting copies, but no released ones (R14)."""
    arrived = pl.col("_recorded_at") <= moment
    events = lake.scan(checkpoint_table(topic)).filter(arrived).select("_partition", "_offset", "event_time").collect()
    if lake.find(ACCEPTED_RELEASES_NAME) is not None:
        released = lake.scan(ACCEPTED_RELEASES_NAME).filter(pl.col("topic") == topic).collect()
        places = released.select(_partition="release_partition", _offset="release_offset")
        events = events.join(places, on=["_partition", "_offset"], how="anti", maintain_order="left")
    highs: dict[int, int] = dict(
        events.group_by("_partition").agg(pl.col("event_time").max().dt.epoch("us")).iter_rows()
    )
    for partition, time in _conflicting(lake, topic, moment):
        highs[partition] = max(time, highs.get(partition, time))
    records = _timestamps(lake, topic).filter(pl.col("timestamp") <= moment)
    lasts = dict(records.group_by("partition").agg(pl.col("timestamp").max().dt.epoch("us")).collect().iter_rows())
    return {partition: PartitionState(highs.get(partition), last) for partition, last in sorted(lasts.items())}


def _timestamps(lake: Lake, topic: str) -> pl.LazyFrame:
    """Of all records; of those that retention removed from bronze only what left a row: of duplicates nobody knows."""
    bronze, names = ensure_bronze(lake, topic), ["partition", "timestamp"]
    if not RemovedRange.of(bronze).through:
        return lake.scan(bronze.name).select(names)
    accepted = lake.scan(checkpoint_table(topic)).select(partition="_partition", timestamp="_recorded_at")
    stopped = lake.scan(QUARANTINE_NAME).filter(pl.col("topic") == topic).select(names)
    return pl.concat([lake.scan(bronze.name).select(names), accepted, stopped])


def _conflicting(lake: Lake, topic: str, moment: datetime) -> list[tuple[int, int]]:
    rows = (
        lake.scan(QUARANTINE_NAME)
        .filter((pl.col("topic") == topic) & (pl.col("timestamp") <= moment))
        .filter(pl.col("reasons").list.contains("conflicting_duplicate"))
        .select("partition", "value", "headers")
        .collect()
    )
    found: list[tuple[int, int]] = []
    for partition, value, headers in rows.iter_rows():
        if not headers:  # a release moves nothing
            found.append((partition, to_micros(_event_time(value))))
    return found


def _event_time(value: bytes) -> datetime:
    read: Any = json.loads(value)["event_time"]
    return datetime.fromisoformat(str(read).upper())
