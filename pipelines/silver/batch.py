"""Transforms bronze batches of one topic into the rows of its silver tables.

`transform` reads its arguments and calls the lookups it is given; it opens and writes no table. Another engine can
take its place. The result depends on the bronze rows, the state and the policies alone, except for the clock columns
(R30), and not on how batches are grouped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.landing_reasons import with_file_and_line
from pipelines.bronze.table import BatchCommit, BronzeBatch
from pipelines.clock import Clock
from pipelines.config.policies import Policy
from pipelines.contracts.registry import Contract
from pipelines.contracts.tables import QUARANTINE, lines_schema, silver_schema
from pipelines.errors import DriftFrozenError
from pipelines.parsing.parse import Layouts, Parsed, ParseRules, parse
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.batch_counts import count_verdicts, merge_entries
from pipelines.silver.batch_rows import BATCH, NO_RELEASES
from pipelines.silver.deduplicate import Fetch
from pipelines.silver.ledger import BatchEntry
from pipelines.silver.policy_history import PolicyHistory
from pipelines.silver.release_header import origins, release_mask
from pipelines.silver.release_waivers import ReleaseLookups, Waivers
from pipelines.silver.schema_evolution import drifts, evolve, reject_unknown_fields
from pipelines.silver.state import TopicState
from pipelines.silver.verdicts import BatchVerdicts, assign_verdicts
from pipelines.silver.warn_rules import warn_counts
from pipelines.silver.watermark import PartitionState

_ROW = "_row"  # index of the record in its piece; no evolved column can have this name


@dataclass(frozen=True, slots=True)
class Lookups:
    """What the transform asks for beside the bronze rows."""

    accepted_ids: AcceptedIdIndex  # gains the events that the batch accepts
    values: Fetch
    releases: ReleaseLookups


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows and the state that result from consecutive bronze batches of one topic. Nothing is committed yet."""

    topic: str
    through: int  # the last bronze batch
    bronze_snapshot_id: int
    partitions: Mapping[int, PartitionState]  # the state afterwards
    accepted: pa.Table  # silver columns and BATCH
    lines: pa.Table | None  # columns of the lines table and BATCH; None: the topic has none
    quarantined: pa.Table  # columns of QUARANTINE and BATCH
    releases: pa.Table  # columns of ACCEPTED_RELEASES and BATCH
    new_columns: Sequence[str]  # evolved columns that the silver table does not have yet
    ledger: list[BatchEntry]


def transform(
    contract: Contract,
    batch: BronzeBatch,
    state: TopicState,
    evolved_columns: Sequence[str],
    policies: PolicyHistory,
    lookups: Lookups,
    commits: Mapping[int, BatchCommit],
    clock: Clock,
    *,
    layouts: Layouts,
    piece_rows: int | None = None,
) -> Outcome:
    """The outcome of a batch, all of whose rows come after `state`, in bronze order.

    `commits` are the commits of the bronze batches, where they are known. `layouts` and `piece_rows`, the most rows
    that are transformed at a time, affect the speed alone. Raises DriftFrozenError under drift policy `freeze`; then
    `lookups.accepted_ids` holds events that are not in silver, and is to be discarded.
    """
    partitions = state.partitions
    waivers = Waivers(contract.topic, lookups.releases) if release_mask(batch.rows).any() else None
    columns, reserved = list(evolved_columns), _reserved(contract)
    accepted: list[pl.DataFrame] = []
    lines: list[pl.DataFrame] = []
    quarantined: list[pl.DataFrame] = []
    entries: list[BatchEntry] = []
    for piece in _pieces(contract.topic, batch.rows, policies, piece_rows):
        policy = policies.policy_of(piece.column("batch_id")[0].as_py())
        verdicts = _assign(contract, piece, partitions, policy, lookups, waivers, layouts)
        partitions = verdicts.partitions
        found = verdicts.accepted.drop("money_rounded").rename({"row": _ROW})
        found, new_columns = evolve(found, columns, reserved=reserved)
        columns += new_columns
        found = _with_lineage(found, piece)
        accepted.append(found.drop(_ROW))
        if verdicts.lines is not None:
            lines.append(_line_rows(contract.topic, verdicts.lines, found))
        quarantined.append(_quarantine_rows(contract.topic, verdicts.quarantined, piece, clock()))
        warned = warn_counts(contract, verdicts.accepted, verdicts.lines, piece)
        entries += count_verdicts(piece, verdicts, warned, commits)
    return Outcome(
        topic=contract.topic,
        through=batch.batch_id,
        bronze_snapshot_id=batch.snapshot_id,
        partitions=partitions,
        accepted=(pl.concat(accepted, how="diagonal") if len(accepted) > 1 else accepted[0]).to_arrow(),
        lines=pl.concat(lines).to_arrow() if lines else None,
        quarantined=pl.concat(quarantined).to_arrow(),
        releases=waivers.accepted() if waivers is not None else NO_RELEASES,
        new_columns=columns[len(evolved_columns) :],
        ledger=merge_entries(entries),
    )


def after_batch(batch: BronzeBatch, consumed: int) -> BronzeBatch:
    """The batch without the rows of bronze batches up to `consumed`."""
    batch_ids = batch.rows.column("batch_id")
    return replace(batch, rows=batch.rows.filter(pc.greater(batch_ids, consumed)))


def _pieces(topic: str, rows: pa.Table, policies: PolicyHistory, piece_rows: int | None) -> Iterator[pa.Table]:
    """Slices of the rows, each under one policy. A release that may depend on another of the rows begins a slice.

    Everything that was quarantined or released before the release is then known (R27).
    """
    batch_ids = rows.column("batch_id").to_numpy()
    starts = {0}
    starts.update(int(np.searchsorted(batch_ids, first)) for first in policies.first_batches)
    if piece_rows:
        starts.update(range(0, len(batch_ids), piece_rows))
    starts.update(_dependent_releases(topic, rows))
    bounds = [*sorted(start for start in starts if start < len(batch_ids)), len(batch_ids)]
    for start, end in pairwise(bounds):
        if end > start:
            yield rows.slice(start, end - start)


def _dependent_releases(topic: str, rows: pa.Table) -> Iterator[int]:
    """Rows whose release header names one of these rows, or a record that an earlier header among them names."""
    mask = release_mask(rows)
    if mask.any():
        known = set(zip(rows.column("partition").to_pylist(), rows.column("offset").to_pylist(), strict=True))
        for row, refs in origins(topic, rows, mask).items():
            if not known.isdisjoint(refs):
                yield row
            known.update(refs)


def _assign(
    contract: Contract,
    piece: pa.Table,
    partitions: Mapping[int, PartitionState],
    policy: Policy,
    lookups: Lookups,
    waivers: Waivers | None,
    layouts: Layouts,
) -> BatchVerdicts:
    values = piece.column("value").combine_chunks()
    parsed = parse(contract, values, ParseRules(policy.currency, policy.min_event_time), layouts)
    if policy.drift == "freeze":
        _refuse_unknown_fields(contract, parsed, piece)
    if policy.drift == "quarantine":
        parsed = reject_unknown_fields(parsed)
    flags = waivers.flags(piece) if waivers is not None else None
    verdicts = assign_verdicts(contract, piece, parsed, partitions, policy, lookups.accepted_ids, lookups.values, flags)
    if waivers is not None:
        waivers.add(piece, verdicts)
    return verdicts


def _refuse_unknown_fields(contract: Contract, parsed: Parsed, piece: pa.Table) -> None:
    drifted = parsed.events.filter(pl.col("_extra").is_not_null())
    if not len(drifted):
        return
    row = drifted["row"][0]
    fields = ", ".join(drifts(drifted.head(1)))
    partition, offset = piece.column("partition")[row].as_py(), piece.column("offset")[row].as_py()
    raise DriftFrozenError(
        f"{contract.topic}: unknown field {fields} at partition {partition}, offset {offset}, and the drift policy is "
        f"freeze. silver.{contract.table} stopped before this batch; bronze continues. To continue, set "
        f"ANIMEVERSE_DRIFT__{contract.table.upper()}=evolve (new columns) or =quarantine, or add the field to the "
        "contract."
    )


def _reserved(contract: Contract) -> tuple[str, ...]:
    """Names that no evolved column may have. Iceberg names the table's partition field `event_time_day`."""
    return (*silver_schema(contract.topic).names, *(field.name for field in contract.fields), "event_time_day")


def _with_lineage(accepted: pl.DataFrame, piece: pa.Table) -> pl.DataFrame:
    row = accepted[_ROW]

    def column(name: str) -> pl.Series:
        return pl.Series(pl.from_arrow(piece.column(name)))[row]

    return accepted.with_columns(
        _partition=column("partition"),
        _offset=column("offset"),
        _recorded_at=column("timestamp"),
        _ingested_at=column("ingested_at"),
        **{BATCH: column("batch_id")},
    )


def _line_rows(topic: str, lines: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Rows of the lines table with `BATCH`: each line with the id, time and lineage of its event."""
    names = [*lines_schema(topic).names, BATCH]
    events = accepted.select(name for name in names if name not in lines.columns)  # evolved fields may be named alike
    at = np.searchsorted(accepted[_ROW].to_numpy(), lines["row"].to_numpy())
    return pl.concat([lines.drop("row"), events[pl.Series(at)]], how="horizontal").select(names)


def _quarantine_rows(topic: str, quarantined: pl.DataFrame, piece: pa.Table, now: datetime) -> pl.DataFrame:
    names = ["partition", "offset", "timestamp", "key", "headers", "value", "batch_id"]
    rows = pl.DataFrame(pl.from_arrow(piece.select(names).take(pa.array(quarantined["row"].to_arrow()))))
    return (
        rows.rename({"batch_id": BATCH})
        .with_columns(
            quarantined.select("event_id", "reasons", "detail"),
            topic=pl.lit(topic),
            quarantined_at=pl.lit(now).cast(pl.Datetime("us", "UTC")),
        )
        .select(*QUARANTINE.names, BATCH)
        .pipe(with_file_and_line)
    )
