"""Counts the verdicts of bronze rows as ledger entries."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.bronze.table import BatchCommit
from pipelines.silver.ledger import BatchEntry, FieldDrift, PartitionCounts
from pipelines.silver.schema_evolution import drifts
from pipelines.silver.verdicts import BatchVerdicts

_ON_TIME, _LATE, _DUPLICATE, _QUARANTINED, _NONE = range(5)
_COUNTS = ("accepted_on_time", "accepted_late", "duplicates", "quarantined")  # in the order of the codes above


def count_verdicts(
    rows: pa.Table, verdicts: BatchVerdicts, warned: pl.DataFrame, commits: Mapping[int, BatchCommit]
) -> list[BatchEntry]:
    """One entry for each batch of these bronze rows.

    `warned` has the columns batch_id, rule, rows; `commits` the commits of the batches, where they are known. Raises
    AssertionError where a row does not have exactly one verdict.
    """
    codes = np.full(rows.num_rows, _NONE, np.uint8)
    codes[verdicts.accepted["row"].to_numpy()] = np.where(verdicts.accepted["_arrival"] == "late", _LATE, _ON_TIME)
    codes[verdicts.duplicates["row"].to_numpy()] = _DUPLICATE
    codes[verdicts.quarantined["row"].to_numpy()] = _QUARANTINED
    count = len(verdicts.accepted) + len(verdicts.duplicates) + len(verdicts.quarantined)
    if (codes == _NONE).any() or count != len(codes):
        raise AssertionError("a record has no verdict, or more than one: this is a defect of assign_verdicts")
    refs = pl.DataFrame(pl.from_arrow(rows.select(["batch_id", "partition", "offset"])))
    counted = (
        refs.with_columns(code=pl.Series(codes))
        .group_by("batch_id", "partition")
        .agg(
            pl.col("offset").min().alias("offset_from"),
            pl.col("offset").max().alias("offset_to"),
            pl.len().cast(pl.Int64).alias("polled"),
            *((pl.col("code") == code).sum().cast(pl.Int64).alias(name) for code, name in enumerate(_COUNTS)),
        )
        .sort("batch_id", "partition")
    )
    reasons = _reasons(refs, verdicts.quarantined)
    entries: dict[int, BatchEntry] = {}
    for line in counted.iter_rows(named=True):
        batch_id = line.pop("batch_id")
        entry = entries.setdefault(batch_id, _empty_entry(batch_id, commits.get(batch_id)))
        entry.partitions.append(PartitionCounts(**line, reasons=reasons.get((batch_id, line["partition"]), {})))
    for batch_id, rule, rows_warned in warned.iter_rows():
        entries[batch_id].warned[rule] = rows_warned
    _add_drift(entries, refs, verdicts.accepted)
    return list(entries.values())


def _reasons(refs: pl.DataFrame, quarantined: pl.DataFrame) -> dict[tuple[int, int], dict[str, int]]:
    """(batch_id, partition) -> reason -> records."""
    keys = ["batch_id", "partition", "reason"]
    exploded = refs[quarantined["row"]].with_columns(reason=quarantined["reasons"]).explode("reason")
    found: dict[tuple[int, int], dict[str, int]] = {}
    for batch_id, partition, reason, count in exploded.group_by(keys).len().sort(keys).iter_rows():
        found.setdefault((batch_id, partition), {})[reason] = count
    return found


def _empty_entry(batch_id: int, commit: BatchCommit | None) -> BatchEntry:
    if commit is None:
        return BatchEntry(batch_id, None, None, None)
    return BatchEntry(batch_id, commit.started_at, commit.committed_at, commit.snapshot_id)


def _add_drift(entries: Mapping[int, BatchEntry], refs: pl.DataFrame, accepted: pl.DataFrame) -> None:
    drifted = accepted.filter(pl.col("_extra").is_not_null()).select("row", "_extra")
    if not len(drifted):
        return
    for (batch_id,), part in drifted.with_columns(refs[drifted["row"]]).group_by(["batch_id"], maintain_order=True):
        assert isinstance(batch_id, int)
        for name, (rows, first, sample) in drifts(part).items():
            drift = FieldDrift(name, rows, part["partition"][first], part["offset"][first], sample)
            entries[batch_id].drift.append(drift)


def merge_entries(entries: Iterable[BatchEntry]) -> list[BatchEntry]:
    """One entry for each batch, where the rows of a batch were counted in several pieces."""
    merged: dict[int, BatchEntry] = {}
    for entry in entries:
        first = merged.setdefault(entry.batch_id, entry)
        if first is not entry:
            _add(first, entry)
    return list(merged.values())


def _add(total: BatchEntry, more: BatchEntry) -> None:
    by_partition = {counts.partition: counts for counts in total.partitions}
    for counts in more.partitions:
        known = by_partition.setdefault(counts.partition, counts)
        if known is counts:
            continue
        known.offset_from = min(known.offset_from, counts.offset_from)
        known.offset_to = max(known.offset_to, counts.offset_to)
        known.polled += counts.polled
        known.accepted_on_time += counts.accepted_on_time
        known.accepted_late += counts.accepted_late
        known.duplicates += counts.duplicates
        known.quarantined += counts.quarantined
        known.reasons = _sum(known.reasons, counts.reasons)
    total.partitions = [by_partition[partition] for partition in sorted(by_partition)]
    total.warned = _sum(total.warned, more.warned)
    drift = {one.field: one for one in total.drift}
    for one in more.drift:
        known_drift = drift.get(one.field)
        drift[one.field] = one if known_drift is None else known_drift._replace(rows=known_drift.rows + one.rows)
    total.drift = list(drift.values())


def _sum(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + two.get(name, 0) for name in [*one, *(name for name in two if name not in one)]}
