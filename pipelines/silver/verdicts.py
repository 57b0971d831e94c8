"""The fold over bronze: each record's verdict from the log alone (R1, R14-R22). No clock, no I/O but the id look-ups.

`judge` takes records in bronze order (batch_id, partition, offset) and the state before them; the verdicts and the
state after are the same however the records are cut into calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.clock import micros
from pipelines.config.policies import Policy
from pipelines.contracts.registry import Contract
from pipelines.parsing.parse import Parsed
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.deduplicate import ACCEPTED, CONFLICT, DUPLICATE, UNKNOWN, Fetch, find_duplicates
from pipelines.silver.watermark import UNBOUNDED, PartitionState, horizon


@dataclass(frozen=True, slots=True)
class BatchVerdicts:
    """The verdicts of one call. `row` is the index into the records; frames are in bronze order."""

    accepted: pl.DataFrame  # contract columns but `items`, row, _extra, money_rounded, _arrival, _lateness_seconds
    lines: pl.DataFrame | None  # the accepted events' `items`, one row a line: row, line columns; None: topic has none
    quarantined: pl.DataFrame  # row, event_id, reasons, detail
    duplicates: pl.DataFrame  # row
    partitions: Mapping[int, PartitionState]  # the state after


def assign_verdicts(
    contract: Contract,
    records: pa.Table,
    parsed: Parsed,
    state: Mapping[int, PartitionState],
    policy: Policy,
    seen: AcceptedIdIndex,
    fetch: Fetch,
    released: npt.NDArray[np.bool_] | None = None,
    repeated: npt.NDArray[np.bool_] | None = None,
) -> BatchVerdicts:
    """Verdicts for bronze rows of one topic (columns partition, offset, timestamp, value) in bronze order.

    `released` marks records whose release header names a quarantined record of this topic (R27), `repeated` those of
    them whose origin was accepted by an earlier release: they add nothing, under whatever id. What is accepted is
    added to `seen`; drop `seen` when the commit that follows fails.
    """
    base = pl.DataFrame(
        {
            "partition": pl.from_arrow(records.column("partition")),
            "offset": pl.from_arrow(records.column("offset")),
            "recorded": pl.Series(pl.from_arrow(records.column("timestamp"))).to_physical(),
        }
    )
    rows = parsed.events["row"]
    frame = base[rows].with_columns(row=rows, time=parsed.events["event_time"].to_physical())
    frame = frame.with_columns(
        released=pl.Series(released)[rows] if released is not None else pl.lit(False),
        repeated=pl.Series(repeated)[rows] if repeated is not None else pl.lit(False),
        index=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    is_future = (pl.col("time") > pl.col("recorded") + micros(policy.future_tolerance)).fill_null(False)
    frame = frame.with_columns(future=is_future)
    future = frame.filter("future")
    timely = _with_high(frame.filter(~pl.col("future")), state)

    allowed = micros(policy.allowed_lateness)
    high, time, waived = pl.col("high"), pl.col("time"), pl.col("released")
    timely = timely.with_columns(
        too_late=(time < high - allowed).fill_null(False) & ~waived if not contract.is_master else pl.lit(False),
        late=(time < high - micros(policy.out_of_orderness)).fill_null(False) | waived,
        lateness=pl.max_horizontal(high - time, pl.lit(0)).fill_null(0),
        bound=(
            pl.when(waived).then(pl.min_horizontal(high, time)).otherwise(pl.coalesce(high, time)) - allowed
            if not contract.is_master
            else pl.lit(UNBOUNDED)
        ),
    )
    too_late = timely.filter("too_late")
    candidates = timely.filter(~pl.col("too_late"))
    verdicts = find_duplicates(candidates, parsed.events, records.column("value"), seen, fetch)
    candidates = candidates.with_columns(verdict=pl.Series(verdicts, dtype=pl.UInt8))
    kept = candidates.filter(pl.col("verdict") == ACCEPTED)
    is_kept = np.zeros(len(parsed.events), bool)
    is_kept[kept["index"].to_numpy()] = True
    accepted = _only(parsed.events.drop("items", strict=False), is_kept).with_columns(
        _arrival=kept.select(pl.when("late").then(pl.lit("late")).otherwise(pl.lit("on_time"))).to_series(),
        # NumPy rounds the quotient correctly; Polars multiplies by a reciprocal and is off in the last place.
        _lateness_seconds=pl.Series(kept["lateness"].to_numpy() / 1e6, dtype=pl.Float64),
    )
    after = _state_after(base, timely, state)
    _forget(seen, after, policy, is_master=contract.is_master)
    return BatchVerdicts(
        accepted,
        _lines(parsed.events, is_kept) if "items" in parsed.events.columns else None,
        pl.concat(
            [
                parsed.rejects.select("row", "event_id", "reasons", "detail"),
                _stopped(future, parsed.events, "future", _future_detail(policy)),
                _stopped(too_late, parsed.events, "too_late", _too_late_detail(policy)),
                _stopped(
                    candidates.filter(pl.col("verdict") >= CONFLICT),
                    parsed.events,
                    "conflicting_duplicate",
                    pl.when(pl.col("verdict") == UNKNOWN)
                    .then(pl.lit("an accepted event has this event_id; bronze does not hold its record any more"))
                    .otherwise(pl.lit("an accepted event has this event_id and other content")),
                ),
            ]
        ).sort("row"),
        candidates.filter(pl.col("verdict") == DUPLICATE).select("row"),
        after,
    )


def _only(frame: pl.DataFrame, mask: npt.NDArray[np.bool_]) -> pl.DataFrame:
    return frame if mask.all() else frame.filter(pl.Series(mask))


def _lines(events: pl.DataFrame, is_kept: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """One row a line. Exploded before anything is left out: to gather lists of structs is slow. No list is empty."""
    counts = events["items"].list.len().to_numpy()
    lines = events["items"].explode().struct.unnest()
    lines = lines.with_columns(row=pl.Series(np.repeat(events["row"].to_numpy(), counts)))
    return _only(lines, np.repeat(is_kept, counts))


def _with_high(frame: pl.DataFrame, state: Mapping[int, PartitionState]) -> pl.DataFrame:
    """`high` before each record: what its partition's earlier records moved it to; released ones move nothing."""
    seeds = pl.DataFrame(
        {"partition": list(state), "seed": [partition.high for partition in state.values()]},
        schema={"partition": pl.Int32, "seed": pl.Int64},
    )
    moving = pl.when("released").then(None).otherwise(pl.col("time"))
    return (
        frame.with_columns(before=moving.cum_max().forward_fill().shift(1).over("partition"))
        .join(seeds, on="partition", how="left", maintain_order="left")
        .with_columns(high=pl.max_horizontal("before", "seed"))
        .drop("before", "seed")
    )


def _state_after(
    base: pl.DataFrame, timely: pl.DataFrame, state: Mapping[int, PartitionState]
) -> dict[int, PartitionState]:
    highs = dict(
        timely.filter(~pl.col("released")).group_by("partition").agg(pl.col("time").max()).iter_rows()
    )  # a lookup by partition: order does not matter
    lasts = dict(base.group_by("partition").agg(pl.col("recorded").max()).iter_rows())
    return {
        partition: PartitionState(
            _greater(state.get(partition, PartitionState()).high, highs.get(partition)),
            _greater(state.get(partition, PartitionState()).last_record_at, lasts.get(partition)),
        )
        for partition in sorted(state.keys() | lasts.keys())
    }


def _greater(one: int | None, two: int | None) -> int | None:
    return max((value for value in (one, two) if value is not None), default=None)


def _forget(seen: AcceptedIdIndex, after: Mapping[int, PartitionState], policy: Policy, *, is_master: bool) -> None:
    if not is_master:
        seen.evict_before(horizon(after, policy))


def _stopped(frame: pl.DataFrame, events: pl.DataFrame, reason: str, detail: pl.Expr) -> pl.DataFrame:
    return frame.select(
        "row",
        event_id=events["event_id"][frame["index"]],
        reasons=pl.lit([reason], dtype=pl.List(pl.String)),
        detail=detail,
    )


def _shown(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("us", "UTC")).dt.to_string("iso:strict")


def _future_detail(policy: Policy) -> pl.Expr:
    return pl.format(
        f"event_time {{}} is more than {policy.future_tolerance} after the record's timestamp {{}}",
        _shown("time"),
        _shown("recorded"),
    )


def _too_late_detail(policy: Policy) -> pl.Expr:
    return pl.format(
        f"event_time {{}} is more than {policy.allowed_lateness} older than {{}}, the newest of its partition so far",
        _shown("time"),
        _shown("high"),
    )
