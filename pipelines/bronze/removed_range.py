"""The bronze records that retention by age has removed, and the counts that replace them. Read-only.

`maintenance/bronze_retention.py` removes them. The range is a table property, set by the commit that removes the rows,
so the two always agree. Silver, the quarantine and the ledger keep the verdicts of removed records; ledger entries name
the offsets of each batch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Self

import polars as pl

from pipelines.bronze.record_ref import REF_COLUMNS
from pipelines.errors import BronzeTruncatedError
from pipelines.lake.commits import encode
from pipelines.lake.table import LakeTable

PROPERTY = "cut"
KEYS = ["batch_id", "partition"]  # of a ledger entry


@dataclass(frozen=True, slots=True)
class RemovedRange:
    """All batches up to `through` are removed: in each partition, all records below an offset."""

    through: int = 0  # 0: nothing has been removed
    before: str = ""  # ISO date: all removed records were ingested before this UTC day
    offsets: Mapping[int, int] = field(default_factory=dict)  # the first offset not removed, by partition of bronze
    rows: Mapping[int, int] = field(default_factory=dict)  # the number of removed records, by partition of bronze

    @classmethod
    def of(cls, bronze: LakeTable) -> Self:
        """The range in the table's properties."""
        stored = json.loads(bronze.properties().get(PROPERTY, "{}"))
        offsets, rows = ({int(p): n for p, n in stored.get(name, {}).items()} for name in ("offsets", "rows"))
        return cls(stored.get("through", 0), stored.get("before", ""), offsets, rows)

    def extended(self, through: int, before: date, removed: pl.DataFrame) -> "RemovedRange":
        """The range after the removal of further records, given as (partition, offset)."""
        more = removed.group_by("partition").agg(pl.col("offset").max() + 1, pl.len()).rows()
        offsets = dict(self.offsets) | {partition: offset for partition, offset, _ in more}
        rows = dict(self.rows) | {partition: self.rows.get(partition, 0) + count for partition, _, count in more}
        return RemovedRange(through, before.isoformat(), offsets, rows)

    def properties(self) -> dict[str, str]:
        """The form in the table's properties."""
        by_partition = {"offsets": self.offsets, "rows": self.rows}
        stored = {name: {str(p): n for p, n in numbers.items()} for name, numbers in by_partition.items()}
        return {PROPERTY: encode({"through": self.through, "before": self.before, **stored})}

    def has(self, partition: int, offset: int) -> bool:
        """Whether the record is removed."""
        return offset < self.offsets.get(partition, -1)

    @property
    def is_below(self) -> pl.Expr:
        """`has` for the columns `partition` and `offset`."""
        first = pl.lit(-1, pl.Int64)
        if self.offsets:
            first = pl.col("partition").replace_strict(dict(self.offsets), default=-1, return_dtype=pl.Int64)
        return pl.col("offset") < first

    def first_held(self, first_offsets: Mapping[int, int]) -> dict[int, int]:
        """The first offset of each partition that both bronze and a log that begins at these offsets can hold."""
        return {partition: max(first, self.offsets.get(partition, 0)) for partition, first in first_offsets.items()}

    def off(self, entries: pl.DataFrame) -> list[int]:
        """Partitions whose ledger entries differ from the range in the number of records or in the last offset."""
        removed = entries.filter(pl.col("batch_id") <= self.through).group_by("partition")
        sums = removed.agg(pl.col("polled").sum(), pl.col("offset_to").max() + 1).rows()
        ledger = {partition: (rows, offset) for partition, rows, offset in sums}
        ours = {partition: (rows, self.offsets.get(partition)) for partition, rows in self.rows.items()}
        return sorted(p for p in ledger.keys() | ours.keys() | self.offsets.keys() if ledger.get(p) != ours.get(p))

    def __str__(self) -> str:
        """The range in words, for messages."""
        return f"{sum(self.rows.values()):,} records of batches up to {self.through}, ingested before {self.before}"


def refuse_truncated(bronze: LakeTable, consumed: int) -> None:
    """Raise BronzeTruncatedError if records have been removed that silver, at batch `consumed`, still needs."""
    removed = RemovedRange.of(bronze)
    if consumed < removed.through:
        raise BronzeTruncatedError(
            f"{bronze.name}: ANIMEVERSE_BRONZE_RETENTION has removed {removed}. Silver that has consumed batches up to "
            f"{consumed} cannot be built from the rest, because watermarks and duplicates depend on all earlier "
            "records. If silver exists, it continues: check it by `animeverse verify` without --rebuild, and rebuild "
            "gold from it by `animeverse rebuild gold`. If silver was lost, restore it from a backup."
        )


def with_batch(refs: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """Records (partition, offset) with the columns of the ledger entry that covers them; null if none does."""
    joined = refs.sort("offset").join_asof(
        entries.sort("offset_from"),
        left_on="offset",
        right_on="offset_from",
        by="partition",
        strategy="backward",
        check_sortedness=False,
    )
    inside = pl.col("offset") <= pl.col("offset_to")
    own = [name for name in entries.columns if name not in REF_COLUMNS]
    return joined.with_columns(pl.when(inside).then(pl.col(name)).alias(name) for name in own)


def recount(entries: pl.DataFrame, accepted: pl.DataFrame, quarantined: pl.DataFrame) -> pl.DataFrame:
    """Ledger entries, counted in silver and quarantine. Duplicates leave no row: they are the rest of `polled`."""
    counted = entries.select(*KEYS, "offset_from", "offset_to", "polled")
    counts = {
        "accepted_on_time": accepted.filter(pl.col("_arrival") == "on_time"),
        "accepted_late": accepted.filter(pl.col("_arrival") == "late"),
        "quarantined": quarantined,
    }
    for name, refs in counts.items():
        count = with_batch(refs.select(REF_COLUMNS), entries).group_by(KEYS).agg(pl.len().cast(pl.Int64).alias(name))
        counted = counted.join(count, on=KEYS, how="left", maintain_order="left").with_columns(
            pl.col(name).fill_null(0)
        )
    duplicates = pl.col("polled") - pl.sum_horizontal(*counts)
    return counted.select(
        *KEYS, "polled", "accepted_on_time", "accepted_late", duplicates=duplicates, quarantined="quarantined"
    )
