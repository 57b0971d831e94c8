"""What retention by age has removed from a bronze table, and how to count on without it. `cutting.py` removes.

The record is a table property, written by the very commit that removes the rows: the two never differ. What became of
a removed record is told by silver, the quarantine and the ledger, whose entries name the offsets of each batch.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Self

import polars as pl

from pipelines.errors import BronzeTruncatedError
from pipelines.lake.catalog import LakeTable, encode

PROPERTY = "cut"
KEYS = ["batch_id", "partition"]
_REF = ["partition", "offset"]


@dataclass(frozen=True, slots=True)
class RemovedRange:
    """Removed are all batches up to `through`: of each partition, all that lies before an offset."""

    through: int = 0  # 0: nothing was ever removed
    before: str = ""  # the UTC day before which all of it was ingested
    offsets: Mapping[int, int] = field(default_factory=dict)  # by partition, in bronze's numbers: the first not removed
    rows: Mapping[int, int] = field(default_factory=dict)  # by partition: how many records are gone

    @classmethod
    def of(cls, bronze: LakeTable) -> Self:
        """As the table says."""
        found = json.loads(bronze.properties().get(PROPERTY, "{}"))
        offsets, rows = ({int(p): n for p, n in found.get(name, {}).items()} for name in ("offsets", "rows"))
        return cls(found.get("through", 0), found.get("before", ""), offsets, rows)

    def extended(self, through: int, before: date, removed: pl.DataFrame) -> "RemovedRange":
        """The cut once these places (partition, offset), too, are gone."""
        more = removed.group_by("partition").agg(pl.col("offset").max() + 1, pl.len()).rows()
        offsets = dict(self.offsets) | {partition: offset for partition, offset, _ in more}
        rows = dict(self.rows) | {partition: self.rows.get(partition, 0) + count for partition, _, count in more}
        return RemovedRange(through, before.isoformat(), offsets, rows)

    def properties(self) -> dict[str, str]:
        """For the table."""
        found = {"offsets": self.offsets, "rows": self.rows}
        texts = {name: {str(p): n for p, n in numbers.items()} for name, numbers in found.items()}
        return {PROPERTY: encode({"through": self.through, "before": self.before, **texts})}

    def has(self, partition: int, offset: int) -> bool:
        """Whether the record of this place is gone."""
        return offset < self.offsets.get(partition, -1)

    @property
    def is_below(self) -> pl.Expr:
        """The same for the columns `partition` and `offset`."""
        first = pl.lit(-1, pl.Int64)
        if self.offsets:
            first = pl.col("partition").replace_strict(dict(self.offsets), default=-1, return_dtype=pl.Int64)
        return pl.col("offset") < first

    def first_held(self, first_offsets: Mapping[int, int]) -> dict[int, int]:
        """From where on bronze can be held against a log that begins at these offsets."""
        return {partition: max(first, self.offsets.get(partition, 0)) for partition, first in first_offsets.items()}

    def off(self, entries: pl.DataFrame) -> list[int]:
        """Partitions of which the ledger's entries say another number of records, or another end, than was removed."""
        said = entries.filter(pl.col("batch_id") <= self.through).group_by("partition")
        sums = said.agg(pl.col("polled").sum(), pl.col("offset_to").max() + 1).rows()
        told = {partition: (rows, offset) for partition, rows, offset in sums}
        ours = {partition: (rows, self.offsets.get(partition)) for partition, rows in self.rows.items()}
        return sorted(p for p in told.keys() | ours.keys() | self.offsets.keys() if told.get(p) != ours.get(p))

    def __str__(self) -> str:
        """For a message."""
        return f"{sum(self.rows.values()):,} records of batches up to {self.through}, ingested before {self.before}"


def refuse_truncated(bronze: LakeTable, consumed: int) -> None:
    """Raise BronzeTruncatedError where silver has not consumed, or is to be built without, what was removed."""
    cut = RemovedRange.of(bronze)
    if consumed < cut.through:
        raise BronzeTruncatedError(
            f"{bronze.name}: ANIMEVERSE_BRONZE_RETENTION has removed {cut}, and silver that has consumed batches up to "
            f"{consumed} cannot be made from what is left: watermarks and duplicates depend on all before. Silver that "
            "is there goes on and `animeverse verify` without --rebuild checks it; gold is built from silver, by "
            "`animeverse rebuild gold`. Silver that was lost has to be restored from a backup."
        )


def with_batch(places: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """Places (partition, offset) with the columns of the ledger's entry whose offsets hold them; null: none does."""
    found = places.sort("offset").join_asof(
        entries.sort("offset_from"),
        left_on="offset",
        right_on="offset_from",
        by="partition",
        strategy="backward",
        check_sortedness=False,
    )
    inside = pl.col("offset") <= pl.col("offset_to")
    own = [name for name in entries.columns if name not in _REF]
    return found.with_columns(pl.when(inside).then(pl.col(name)).alias(name) for name in own)


def recount(entries: pl.DataFrame, accepted: pl.DataFrame, stopped: pl.DataFrame) -> pl.DataFrame:
    """Entries as silver and quarantine say. Duplicates leave no row: they are what was polled and is nowhere else."""
    found = entries.select(*KEYS, "offset_from", "offset_to", "polled")
    counts = {
        "accepted_on_time": accepted.filter(pl.col("_arrival") == "on_time"),
        "accepted_late": accepted.filter(pl.col("_arrival") == "late"),
        "quarantined": stopped,
    }
    for name, places in counts.items():
        counted = with_batch(places.select(_REF), entries).group_by(KEYS).agg(pl.len().cast(pl.Int64).alias(name))
        found = found.join(counted, on=KEYS, how="left", maintain_order="left").with_columns(pl.col(name).fill_null(0))
    duplicates = pl.col("polled") - pl.sum_horizontal(*counts)
    return found.select(
        *KEYS, "polled", "accepted_on_time", "accepted_late", duplicates=duplicates, quarantined="quarantined"
    )
