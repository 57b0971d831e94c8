"""Looks up records and accepted events of one topic: in recent rows that are kept in memory, else in its tables."""

from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef, read_records
from pipelines.bronze.removed_range import RemovedRange
from pipelines.clock import from_micros
from pipelines.lake.catalog import LakeTable
from pipelines.silver.release_waivers import BronzeKey
from pipelines.silver.watermark import UNBOUNDED

_RECENT_BYTES = 64 << 20  # of bronze rows kept in memory


class RecordLookup:
    """Reads bronze and the checkpoint table of one topic. One thread, one holder."""

    def __init__(self, bronze: LakeTable, checkpoint: LakeTable) -> None:
        self._bronze, self._checkpoint = bronze, checkpoint
        self._recent: list[pa.Table] = []

    def remember(self, rows: pa.Table) -> None:
        """Keep these bronze rows in memory; drops the oldest rows beyond 64 MB."""
        self._recent.append(rows.select(["partition", "offset", "value"]))
        while len(self._recent) > 1 and sum(table.nbytes for table in self._recent) > _RECENT_BYTES:
            self._recent.pop(0)

    def forget(self) -> None:
        """Drop all rows kept in memory."""
        self._recent = []

    def values(self, refs: Sequence[RecordRef]) -> Mapping[RecordRef, bytes]:
        """The bytes of these records, each named once. Records that bronze no longer holds are missing."""
        wanted = pl.DataFrame(refs, schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row")
        found: dict[RecordRef, bytes] = {}
        for table in reversed(self._recent):
            if not len(wanted):
                return found
            recent = pl.DataFrame(pl.from_arrow(table))
            hits = wanted.join(recent, on=["partition", "offset"], how="inner", maintain_order="left")
            found.update({(partition, offset): value for partition, offset, value in hits.iter_rows()})
            wanted = wanted.join(hits, on=["partition", "offset"], how="anti", maintain_order="left")
        for row in read_records(self._bronze, list(wanted.iter_rows()), ["partition", "offset", "value"]):
            found[row["partition"], row["offset"]] = row["value"]
        return found

    def before(self, refs: Sequence[RecordRef], key: BronzeKey) -> set[RecordRef]:
        """Those of the records that come before the key in bronze order; what retention removed does."""
        rows = read_records(self._bronze, refs, BronzeKey._fields)
        found = {(row["partition"], row["offset"]) for row in rows if BronzeKey(**row) < key}
        removed = RemovedRange.of(self._bronze)
        return found | {ref for ref in refs if removed.has(*ref)}

    def accepted_events(self, event_ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        """Accepted events with since <= event_time < before (microseconds), as `accepted_ids.Loader` says."""
        columns = ["event_id", "event_time", "_partition", "_offset"]
        low = None if since == UNBOUNDED else from_micros(since)
        high = None if before is None else from_micros(before - 1)
        found = pl.DataFrame(pl.from_arrow(self._checkpoint.read_between("event_time", low, high, columns)))
        found = found.with_columns(pl.col("event_id").cast(pl.String))
        return found if event_ids is None else found.filter(pl.col("event_id").is_in(list(event_ids)))
