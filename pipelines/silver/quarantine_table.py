"""What silver keeps beside its events: the quarantine of all topics, and which of its records a release brought in.

Both are committed before any anchor and say in their snapshots what they have consumed by topic, like every silver
table; so one commit of each serves a whole micro-batch. Source: R25, R27.
"""

import json
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.record_ref import RecordRef, by_partition
from pipelines.contracts.tables import ACCEPTED_RELEASES, QUARANTINE, QUARANTINE_NAME, ACCEPTED_RELEASES_NAME
from pipelines.lake.catalog import Lake, LakeTable, encode

BATCH = "_batch_id"  # of rows on their way into a table; no evolved column can have this name
NO_RELEASES = ACCEPTED_RELEASES.append(pa.field(BATCH, pa.int64())).empty_table()


class Outcome(Protocol):
    """What is read of an outcome (`silver.Outcome`)."""

    topic: str
    through: int
    quarantined: pa.Table
    releases: pa.Table


class Quarantine:
    """`silver.quarantine` and `silver.releases`. One thread, one holder."""

    def __init__(self, lake: Lake) -> None:
        self.table = lake.ensure(QUARANTINE_NAME, QUARANTINE, day_of="quarantined_at")
        self.releases = lake.ensure(ACCEPTED_RELEASES_NAME, ACCEPTED_RELEASES)

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """Both tables."""
        return (self.releases, self.table)

    def reload(self) -> None:
        """Take the tables as they are now."""
        for table in self.tables:
            table.reload()

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Append what the outcomes bring, each row once, whichever run worked them out."""
        _append(self.releases, [(outcome.topic, outcome.through, outcome.releases) for outcome in outcomes])
        _append(self.table, [(outcome.topic, outcome.through, outcome.quarantined) for outcome in outcomes])

    def holds(self, topic: str, places: Sequence[RecordRef]) -> set[RecordRef]:
        """Those of the places whose records are quarantined."""
        return _held(self.table, topic, places)

    def has_released(self, topic: str, places: Sequence[RecordRef]) -> set[RecordRef]:
        """Those of the places whose records a release brought into silver."""
        return _held(self.releases, topic, places)


def _append(table: LakeTable, parts: Sequence[tuple[str, int, pa.Table]]) -> None:
    consumed: dict[str, int] = json.loads(table.checkpoint().get("consumed", "{}"))
    fresh = [(topic, through, rows_after_batch(rows, consumed.get(topic, 0))) for topic, through, rows in parts]
    fresh = [part for part in fresh if part[2].num_rows]
    if fresh:
        consumed |= {topic: through for topic, through, _ in fresh}
        table.append(pa.concat_tables([rows for _, _, rows in fresh]), {"consumed": encode(consumed)})


def _held(table: LakeTable, topic: str, places: Sequence[RecordRef]) -> set[RecordRef]:
    found: set[RecordRef] = set()
    for partition, offsets in by_partition(places).items():
        rows = table.read_in("offset", offsets, ["partition", "offset"], {"topic": topic, "partition": partition})
        found.update((row["partition"], row["offset"]) for row in rows)
    return found


def rows_after_batch(rows: pa.Table, batch_id: int) -> pa.Table:
    """The rows of batches after the given one, without `BATCH`."""
    batches = rows.column(BATCH)
    kept = rows
    if rows.num_rows and pc.min(batches).as_py() <= batch_id:
        kept = rows.filter(pc.greater(batches, batch_id))
    return kept.drop_columns([BATCH])
