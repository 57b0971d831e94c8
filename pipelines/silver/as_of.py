"""Silver as of a time: the rows whose records had arrived in the log by then (R40).

Records without a log timestamp cannot be placed in time and are excluded.
"""

import json
from datetime import datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.removed_range import RemovedRange
from pipelines.bronze.table import ensure_bronze
from pipelines.clock import to_micros
from pipelines.contracts.tables import ACCEPTED_RELEASES_NAME, QUARANTINE_NAME, checkpoint_table
from pipelines.lake.catalog import Lake
from pipelines.silver.changes import SilverChanges, partition_rows, silver_changes, stored_state
from pipelines.silver.watermark import PartitionState


def silver_as_of(lake: Lake, moment: datetime) -> SilverChanges:
    """All silver rows whose records had arrived by `moment`, and the per-partition state after these records."""
    now = silver_changes(lake, {})
    limit = pa.scalar(moment, pa.timestamp("us", tz="UTC"))
    tables = {name: rows.filter(pc.less_equal(rows.column("_recorded_at"), limit)) for name, rows in now.tables.items()}
    state = {topic: (_state(lake, topic, moment), policy) for topic, (_, policy) in stored_state(lake).items()}
    return SilverChanges(tables, now.snapshots, partition_rows(state))


def _state(lake: Lake, topic: str, moment: datetime) -> dict[int, PartitionState]:
    """`high` follows from accepted events and conflicting copies, but not from releases (R14)."""
    arrived = pl.col("_recorded_at") <= moment
    events = lake.scan(checkpoint_table(topic)).filter(arrived).select("_partition", "_offset", "event_time").collect()
    if lake.find(ACCEPTED_RELEASES_NAME) is not None:
        released = lake.scan(ACCEPTED_RELEASES_NAME).filter(pl.col("topic") == topic).collect()
        copies = released.select(_partition="release_partition", _offset="release_offset")
        events = events.join(copies, on=["_partition", "_offset"], how="anti", maintain_order="left")
    highs: dict[int, int] = dict(
        events.group_by("_partition").agg(pl.col("event_time").max().dt.epoch("us")).iter_rows()
    )
    for partition, time in _conflicting_copies(lake, topic, moment):
        highs[partition] = max(time, highs.get(partition, time))
    records = _timestamps(lake, topic).filter(pl.col("timestamp") <= moment)
    lasts = dict(records.group_by("partition").agg(pl.col("timestamp").max().dt.epoch("us")).collect().iter_rows())
    return {partition: PartitionState(highs.get(partition), last) for partition, last in sorted(lasts.items())}


def _timestamps(lake: Lake, topic: str) -> pl.LazyFrame:
    """Timestamps of all records. Of those that retention removed, only accepted or quarantined records are known."""
    bronze, names = ensure_bronze(lake, topic), ["partition", "timestamp"]
    if not RemovedRange.of(bronze).through:
        return lake.scan(bronze.name).select(names)
    accepted = lake.scan(checkpoint_table(topic)).select(partition="_partition", timestamp="_recorded_at")
    quarantined = lake.scan(QUARANTINE_NAME).filter(pl.col("topic") == topic).select(names)
    return pl.concat([lake.scan(bronze.name).select(names), accepted, quarantined])


def _conflicting_copies(lake: Lake, topic: str, moment: datetime) -> list[tuple[int, int]]:
    """(partition, event time in microseconds) of quarantined copies with other content."""
    rows = (
        lake.scan(QUARANTINE_NAME)
        .filter((pl.col("topic") == topic) & (pl.col("timestamp") <= moment))
        .filter(pl.col("reasons").list.contains("conflicting_duplicate"))
        .select("partition", "value", "headers")
        .collect()
    )
    return [
        (partition, to_micros(_event_time(value)))
        for partition, value, headers in rows.iter_rows()
        if not headers  # a release does not raise `high`
    ]


def _event_time(value: bytes) -> datetime:
    return datetime.fromisoformat(str(json.loads(value)["event_time"]).upper())
