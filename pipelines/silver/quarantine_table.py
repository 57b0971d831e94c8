"""The silver tables of all topics together: quarantined records, and which of them a release brought into silver.

Both are committed before any checkpoint table. Each stores in its own checkpoint the last bronze batch of each topic
that it holds, so one commit of each serves a whole micro-batch (R25, R27).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef, by_partition
from pipelines.contracts.tables import ACCEPTED_RELEASES, ACCEPTED_RELEASES_NAME, QUARANTINE, QUARANTINE_NAME
from pipelines.lake.catalog import Lake, LakeTable, encode
from pipelines.silver.batch import Outcome
from pipelines.silver.batch_rows import rows_after_batch
from pipelines.silver.release_waivers import AcceptedRelease


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
        """Load the newest state of the tables."""
        for table in self.tables:
            table.reload()

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Append the quarantined records and accepted releases of the outcomes that the tables do not hold yet."""
        _append(self.releases, [(outcome.topic, outcome.through, outcome.releases) for outcome in outcomes])
        _append(self.table, [(outcome.topic, outcome.through, outcome.quarantined) for outcome in outcomes])

    def quarantined(self, topic: str, refs: Sequence[RecordRef]) -> set[RecordRef]:
        """Those of the records that are quarantined."""
        rows = _rows(self.table, topic, refs, ["partition", "offset"])
        return {(row["partition"], row["offset"]) for row in rows}

    def accepted_releases(self, topic: str, refs: Sequence[RecordRef]) -> list[AcceptedRelease]:
        """The accepted releases of these quarantined records."""
        columns = ["partition", "offset", "release_partition", "release_offset"]
        return [
            AcceptedRelease((row["partition"], row["offset"]), (row["release_partition"], row["release_offset"]))
            for row in _rows(self.releases, topic, refs, columns)
        ]


def _append(table: LakeTable, parts: Sequence[tuple[str, int, pa.Table]]) -> None:
    consumed: dict[str, int] = json.loads(table.checkpoint().get("consumed", "{}"))
    new = [(topic, through, rows_after_batch(rows, consumed.get(topic, 0))) for topic, through, rows in parts]
    new = [part for part in new if part[2].num_rows]
    if new:
        consumed |= {topic: through for topic, through, _ in new}
        table.append(pa.concat_tables([rows for _, _, rows in new]), {"consumed": encode(consumed)})


def _rows(table: LakeTable, topic: str, refs: Sequence[RecordRef], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for partition, offsets in by_partition(refs).items():
        yield from table.read_in("offset", offsets, columns, {"topic": topic, "partition": partition})
