"""The checks of `verify` that the ledger `ops.batches` agrees with a recount of the tables."""

from collections.abc import Iterator

import polars as pl

from pipelines.bronze.removed_range import KEYS, RemovedRange, recount, with_batch
from pipelines.lake.catalog import Lake
from pipelines.operations.check import MAX_SHOWN, Check
from pipelines.operations.record_frames import REF, rows_without
from pipelines.silver.ledger import entries_of

_COUNTS = ["polled", "accepted_on_time", "accepted_late", "duplicates", "quarantined"]


def ledger_checks(
    lake: Lake,
    topic: str,
    consumed: pl.DataFrame,
    accepted: pl.DataFrame,
    quarantined: pl.DataFrame,
    removed: RemovedRange,
) -> Iterator[Check]:
    """Compare `ops.batches` with the recount, batch by batch. An entry that is not written yet is no fault.

    `consumed` are the bronze records that silver has consumed, `accepted` and `quarantined` what became of them.
    """
    name = f"{topic}: the ledger equals the recount"
    table = lake.find("ops.batches")
    if table is None:
        yield Check(name, len(consumed) == 0, "there is no ops.batches")
        return
    entries = pl.DataFrame(pl.from_arrow(table.read(columns=["topic", *KEYS, *_COUNTS])))
    if removed.through:
        yield from _removed_checks(lake, topic, accepted, quarantined, removed)
    own = (pl.col("topic").cast(pl.String) == topic) & (pl.col("batch_id") > removed.through)
    written = entries.filter(own).select(*KEYS, *_COUNTS)
    counted = _count_batches(consumed, accepted, quarantined)
    last = written["batch_id"].max()
    due = counted.filter(pl.col("batch_id") <= (last if isinstance(last, int) else 0))
    different = pl.concat([_missing_rows(written, due), _missing_rows(due, written)]).unique(KEYS).sort(KEYS)
    if len(different):
        yield Check(name, False, f"{len(different)} entries differ: {'; '.join(_batch_names(different))}")
        return
    waiting = len(counted) - len(due)
    yield Check(name, True, f"{len(written):,} entries" + (f", {waiting} waiting for the next run" if waiting else ""))


def _count_batches(consumed: pl.DataFrame, accepted: pl.DataFrame, quarantined: pl.DataFrame) -> pl.DataFrame:
    """Count the consumed records by batch, partition and verdict, as `ops.batches` does."""
    return (
        consumed.join(accepted.unique(REF), on=REF, how="left", maintain_order="left")
        .join(quarantined.unique(REF).select(*REF, in_quarantine=True), on=REF, how="left", maintain_order="left")
        .group_by(KEYS)
        .agg(
            pl.len().cast(pl.Int64).alias("polled"),
            (pl.col("_arrival") == "on_time").sum().cast(pl.Int64).alias("accepted_on_time"),
            (pl.col("_arrival") == "late").sum().cast(pl.Int64).alias("accepted_late"),
            (pl.col("_arrival").is_null() & pl.col("in_quarantine").is_null()).sum().cast(pl.Int64).alias("duplicates"),
            pl.col("in_quarantine").is_not_null().sum().cast(pl.Int64).alias("quarantined"),
        )
    )


def _removed_checks(
    lake: Lake, topic: str, accepted: pl.DataFrame, quarantined: pl.DataFrame, removed: RemovedRange
) -> Iterator[Check]:
    """The ledger covers exactly what retention removed from bronze, and silver and quarantine agree with it."""
    ledger = entries_of(lake, topic)
    partitions = removed.off(ledger)
    differ = f"the ledger says otherwise of partition {', '.join(map(str, partitions[:MAX_SHOWN]))}"
    yield Check(
        f"{topic}: the ledger has all that retention removed", not partitions, differ if partitions else f"{removed}"
    )
    entries = ledger.filter(pl.col("batch_id") <= removed.through)
    different = _missing_rows(recount(entries, accepted, quarantined), entries).select(KEYS).sort(KEYS)
    records = pl.concat([accepted.select(REF), quarantined.select(REF)]).filter(removed.is_below)
    without_batch = with_batch(records, entries).filter(pl.col("batch_id").is_null())
    faults = _batch_names(different)
    faults += [f"offset {p}/{o} is of no batch" for p, o in without_batch.select(REF).head(MAX_SHOWN).iter_rows()]
    name = f"{topic}: silver and quarantine hold what the ledger says of it"
    yield Check(name, not faults, "; ".join(faults) or f"{len(entries):,} entries")


def _batch_names(entries: pl.DataFrame) -> list[str]:
    first = entries.select(KEYS).head(MAX_SHOWN)
    return [f"batch {batch} partition {partition}" for batch, partition in first.iter_rows()]


def _missing_rows(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that `others` does not hold with the same values in all of their columns."""
    return rows_without(rows, others, rows.columns)
