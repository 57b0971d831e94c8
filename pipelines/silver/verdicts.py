"""Assigns each record its verdict, as a function of the log alone (R1, R14-R22). No clock; only ids are looked up.

Records are in bronze order (batch_id, partition, offset). Verdicts and the state afterwards do not depend on how the
records are split into calls.
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
from pipelines.silver.deduplicate import ACCEPTED, CONFLICT, DUPLICATE, UNKNOWN, Candidates, Fetch, find_duplicates
from pipelines.silver.release_header import ReleaseFlags
from pipelines.silver.watermark import UNBOUNDED, PartitionState, horizon


@dataclass(frozen=True, slots=True)
class BatchVerdicts:
    """The verdicts of one call. `row` is the index into the records; frames are in bronze order."""

    accepted: pl.DataFrame  # contract columns but the lines, row, _extra, money_rounded, _arrival, _lateness_seconds
    lines: pl.DataFrame | None  # row and line columns, one row per line of the accepted events; None: topic has none
    quarantined: pl.DataFrame  # row, event_id, reasons, detail
    duplicates: pl.DataFrame  # row
    partitions: Mapping[int, PartitionState]  # the state afterwards


def assign_verdicts(
    contract: Contract,
    records: pa.Table,
    parsed: Parsed,
    partitions: Mapping[int, PartitionState],
    policy: Policy,
    accepted_ids: AcceptedIdIndex,
    fetch: Fetch,
    releases: ReleaseFlags | None = None,
) -> BatchVerdicts:
    """Verdicts for bronze rows of one topic (columns partition, offset, timestamp, value) in bronze order.

    `partitions` is the state before. Releases are exempt from the lateness rule (R27). Adds accepted events to
    `accepted_ids`: discard the index if the commit fails.
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
        released=pl.Series(releases.is_release)[rows] if releases is not None else pl.lit(False),
        repeated=pl.Series(releases.is_repeated)[rows] if releases is not None else pl.lit(False),
        index=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    is_future = (pl.col("time") > pl.col("recorded") + micros(policy.future_tolerance)).fill_null(False)
    frame = frame.with_columns(future=is_future)
    future = frame.filter("future")
    timely = _with_high(frame.filter(~pl.col("future")), partitions)
    timely = _with_lateness(timely, policy, is_master=contract.is_master)
    too_late = timely.filter("too_late")
    candidates = timely.filter(~pl.col("too_late"))
    verdicts = find_duplicates(_candidates(candidates, parsed.events, records), accepted_ids, fetch)
    candidates = candidates.with_columns(verdict=pl.Series(verdicts, dtype=pl.UInt8))
    kept = candidates.filter(pl.col("verdict") == ACCEPTED)
    is_kept = np.zeros(len(parsed.events), bool)
    is_kept[kept["index"].to_numpy()] = True
    lines = contract.line_field
    accepted = _only(parsed.events if lines is None else parsed.events.drop(lines.name), is_kept).with_columns(
        _arrival=kept.select(pl.when("late").then(pl.lit("late")).otherwise(pl.lit("on_time"))).to_series(),
        # NumPy rounds the quotient correctly; Polars multiplies by a reciprocal and is off in the last place.
        _lateness_seconds=pl.Series(kept["lateness"].to_numpy() / 1e6, dtype=pl.Float64),
    )
    after = _state_after(base, timely, partitions)
    if not contract.is_master:
        accepted_ids.evict_before(horizon(after, policy))
    quarantined = [
        parsed.rejects.select("row", "event_id", "reasons", "detail"),
        _quarantined(future, parsed.events, "future", _future_detail(policy)),
        _quarantined(too_late, parsed.events, "too_late", _too_late_detail(policy)),
        _quarantined(
            candidates.filter(pl.col("verdict") >= CONFLICT), parsed.events, "conflicting_duplicate", _conflict_detail()
        ),
    ]
    return BatchVerdicts(
        accepted,
        None if lines is None else _lines(parsed.events, lines.name, is_kept),
        pl.concat(quarantined).sort("row"),
        candidates.filter(pl.col("verdict") == DUPLICATE).select("row"),
        after,
    )


def _with_lateness(timely: pl.DataFrame, policy: Policy, *, is_master: bool) -> pl.DataFrame:
    """Adds too_late, late, lateness (microseconds) and bound (see `Candidates`). Master data is never too late."""
    allowed = micros(policy.allowed_lateness)
    high, time, released = pl.col("high"), pl.col("time"), pl.col("released")
    bound = pl.when(released).then(pl.min_horizontal(high, time)).otherwise(pl.coalesce(high, time)) - allowed
    return timely.with_columns(
        too_late=pl.lit(False) if is_master else (time < high - allowed).fill_null(False) & ~released,
        late=(time < high - micros(policy.out_of_orderness)).fill_null(False) | released,
        lateness=pl.max_horizontal(high - time, pl.lit(0)).fill_null(0),
        bound=pl.lit(UNBOUNDED) if is_master else bound,
    )


def _candidates(candidates: pl.DataFrame, events: pl.DataFrame, records: pa.Table) -> Candidates:
    return Candidates(
        event_ids=events["event_id"][candidates["index"]],
        event_times=candidates["time"].to_numpy(),
        bounds=candidates["bound"].to_numpy(),
        partitions=candidates["partition"].to_numpy(),
        offsets=candidates["offset"].to_numpy(),
        values=pl.Series(pl.from_arrow(records.column("value")))[candidates["row"]],
        is_repeated=candidates["repeated"].to_numpy(),
    )


def _only(frame: pl.DataFrame, mask: npt.NDArray[np.bool_]) -> pl.DataFrame:
    return frame if mask.all() else frame.filter(pl.Series(mask))


def _lines(events: pl.DataFrame, field: str, is_kept: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """One row per line of the kept events. No list is empty.

    Explodes all lists and filters the lines afterwards, because filtering lists of structs is slow.
    """
    counts = events[field].list.len().to_numpy()
    lines = events[field].explode().struct.unnest()
    lines = lines.with_columns(row=pl.Series(np.repeat(events["row"].to_numpy(), counts)))
    return _only(lines, np.repeat(is_kept, counts))


def _with_high(frame: pl.DataFrame, partitions: Mapping[int, PartitionState]) -> pl.DataFrame:
    """Adds `high`, the greatest event time of the partition before each record. Releases do not raise it."""
    seeds = pl.DataFrame(
        {"partition": list(partitions), "seed": [state.high for state in partitions.values()]},
        schema={"partition": pl.Int32, "seed": pl.Int64},
    )
    raising = pl.when("released").then(None).otherwise(pl.col("time"))
    return (
        frame.with_columns(before=raising.cum_max().forward_fill().shift(1).over("partition"))
        .join(seeds, on="partition", how="left", maintain_order="left")
        .with_columns(high=pl.max_horizontal("before", "seed"))
        .drop("before", "seed")
    )


def _state_after(
    base: pl.DataFrame, timely: pl.DataFrame, partitions: Mapping[int, PartitionState]
) -> dict[int, PartitionState]:
    highs = dict(timely.filter(~pl.col("released")).group_by("partition").agg(pl.col("time").max()).iter_rows())
    lasts = dict(base.group_by("partition").agg(pl.col("recorded").max()).iter_rows())
    return {
        partition: PartitionState(
            _greater(partitions.get(partition, PartitionState()).high, highs.get(partition)),
            _greater(partitions.get(partition, PartitionState()).last_record_at, lasts.get(partition)),
        )
        for partition in sorted(partitions.keys() | lasts.keys())
    }


def _greater(one: int | None, two: int | None) -> int | None:
    return max((value for value in (one, two) if value is not None), default=None)


def _quarantined(frame: pl.DataFrame, events: pl.DataFrame, reason: str, detail: pl.Expr) -> pl.DataFrame:
    return frame.select(
        "row",
        event_id=events["event_id"][frame["index"]],
        reasons=pl.lit([reason], dtype=pl.List(pl.String)),
        detail=detail,
    )


def _time_text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("us", "UTC")).dt.to_string("iso:strict")


def _future_detail(policy: Policy) -> pl.Expr:
    return pl.format(
        f"event_time {{}} is more than {policy.future_tolerance} after the record's timestamp {{}}",
        _time_text("time"),
        _time_text("recorded"),
    )


def _too_late_detail(policy: Policy) -> pl.Expr:
    return pl.format(
        f"event_time {{}} is more than {policy.allowed_lateness} older than {{}}, the newest of its partition so far",
        _time_text("time"),
        _time_text("high"),
    )


def _conflict_detail() -> pl.Expr:
    unknown = pl.lit("an accepted event has this event_id; bronze does not hold its record any more")
    other = pl.lit("an accepted event has this event_id and other content")
    return pl.when(pl.col("verdict") == UNKNOWN).then(unknown).otherwise(other)
