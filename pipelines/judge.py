"""The fold over bronze: each record's verdict from the log alone (R1, R14-R22). No clock, no I/O but the id look-ups.

`judge` takes records in bronze order (batch_id, partition, offset) and the state before them; the verdicts and the
state after are the same however the records are cut into calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.contracts import Contract
from pipelines.exact import canonical
from pipelines.parse import Parsed
from pipelines.seen import NO_FLOOR, Owner, SeenIds, id_hashes, value_digests
from pipelines.settings import Policy
from pipelines.times import micros
from pipelines.watermark import PartitionState, partition_watermarks

# Records' bytes by (partition, offset), from bronze; without those that retention removed.
Fetch = Callable[[Sequence[tuple[int, int]]], Mapping[tuple[int, int], bytes]]

ACCEPTED, DUPLICATE, CONFLICT, UNKNOWN = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts of one call. `row` is the index into the records; frames are in bronze order."""

    accepted: pl.DataFrame  # contract columns but `items`, row, _extra, money_rounded, _arrival, _lateness_seconds
    lines: pl.DataFrame | None  # the accepted events' `items`, one row a line: row, line columns; None: topic has none
    quarantined: pl.DataFrame  # row, event_id, reasons, detail
    duplicates: pl.DataFrame  # row
    partitions: Mapping[int, PartitionState]  # the state after


def judge(
    contract: Contract,
    records: pa.Table,
    parsed: Parsed,
    state: Mapping[int, PartitionState],
    policy: Policy,
    seen: SeenIds,
    fetch: Fetch,
    released: npt.NDArray[np.bool_] | None = None,
    repeated: npt.NDArray[np.bool_] | None = None,
) -> Judged:
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
            else pl.lit(NO_FLOOR)
        ),
    )
    too_late = timely.filter("too_late")
    candidates = timely.filter(~pl.col("too_late"))
    verdicts = _copies(candidates, parsed.events, records.column("value"), seen, fetch)
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
    return Judged(
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


def horizon(partitions: Mapping[int, PartitionState], policy: Policy) -> int:
    """From which event_time on the partitions that are not idle may still meet a copy (R21)."""
    shares = partition_watermarks(partitions, out_of_orderness=0, idle_timeout=micros(policy.idle_timeout))
    highs = [share.high for share in shares if not share.is_idle and share.high is not None]
    return min(highs) - micros(policy.allowed_lateness) if highs else NO_FLOOR


def _forget(seen: SeenIds, after: Mapping[int, PartitionState], policy: Policy, *, is_master: bool) -> None:
    if not is_master:
        seen.raise_floor(horizon(after, policy))


def _copies(
    candidates: pl.DataFrame, events: pl.DataFrame, values: pa.ChunkedArray, seen: SeenIds, fetch: Fetch
) -> npt.NDArray[np.uint8]:
    """One verdict a candidate: the first copy of an id wins, an identical one is a duplicate, another conflicts.

    What cannot be compared, since the accepted event's record is gone from bronze, is no duplicate.
    """
    verdicts = np.full(len(candidates), ACCEPTED, np.uint8)
    if not len(candidates):
        return verdicts
    ids = events["event_id"][candidates["index"]]
    times = candidates["time"].to_numpy()
    bounds = candidates["bound"].to_numpy()
    hashes = id_hashes(ids)
    rows = candidates["row"].to_numpy()
    digests = value_digests(pl.Series(pl.from_arrow(values))[candidates["row"]])
    repeated = candidates["repeated"].to_numpy()
    suspects = seen.maybe(hashes) | pl.Series(hashes).is_duplicated().to_numpy() | repeated
    older: dict[str, list[Owner]] = {}
    below = bounds < seen.floor
    if below.any():
        since = int(bounds[below].min())
        older = seen.older(ids.filter(pl.Series(below)).to_list(), since)
        suspects |= ids.is_in(list(older)).to_numpy()
    positions = np.flatnonzero(suspects)
    if len(positions):
        _settle(positions, verdicts, ids, times, bounds, hashes, digests, rows, repeated, older, values, seen, fetch)
    won = verdicts == ACCEPTED
    seen.add(
        hashes[won],
        times[won],
        candidates["partition"].to_numpy()[won],
        candidates["offset"].to_numpy()[won],
        digests[won],
    )
    return verdicts


@dataclass(slots=True)
class _Known:
    """An accepted event that a suspect is compared with; `value` is fetched when the digest does not settle it."""

    event_time: int
    digest: int
    place: tuple[int, int] | None  # in bronze
    row: int | None  # in this call


def _settle(
    positions: npt.NDArray[np.intp],
    verdicts: npt.NDArray[np.uint8],
    ids: pl.Series,
    times: npt.NDArray[np.int64],
    bounds: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    digests: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.uint32],
    repeated: npt.NDArray[np.bool_],
    older: Mapping[str, list[Owner]],
    values: pa.ChunkedArray,
    seen: SeenIds,
    fetch: Fetch,
) -> None:
    known: dict[str, list[_Known]] = {}
    suspects = [(int(position), str(ids[int(position)])) for position in positions]
    wanted: set[tuple[int, int]] = set()
    for position, event_id in suspects:
        if event_id not in known:
            owners = older.get(event_id, []) + seen.owners(int(hashes[position]))
            known[event_id] = [_Known(o.event_time, o.digest, (o.partition, o.offset), None) for o in owners]
        wanted.update(
            entry.place for entry in known[event_id] if entry.place and entry.digest != int(digests[position])
        )
    fetched = fetch(sorted(wanted)) if wanted else {}
    for event_id, entries in known.items():
        # A hash may collide: an entry whose record is fetched must carry this very id.
        known[event_id] = [
            entry
            for entry in entries
            if entry.place is None or entry.place not in fetched or _id_of(fetched[entry.place]) == event_id
        ]

    def value_of(entry: _Known) -> bytes:
        if entry.place is not None:
            return fetched[entry.place]
        return bytes(values[entry.row].as_py())

    canon: dict[int | tuple[int, int], object] = {}

    def canonical_of(entry: _Known) -> object:
        key: int | tuple[int, int] = entry.place if entry.place is not None else int(entry.row or 0)
        if key not in canon:
            canon[key] = canonical(value_of(entry))
        return canon[key]

    for position, event_id in suspects:
        row, digest = int(rows[position]), int(digests[position])
        near = [entry for entry in known[event_id] if entry.event_time >= bounds[position]]
        if not near and repeated[position]:
            verdicts[position] = DUPLICATE  # of the release that was accepted, whatever id this one has
            continue
        if not near:
            known[event_id].append(_Known(int(times[position]), digest, None, row))
            continue
        if any(entry.digest == digest for entry in near):
            verdicts[position] = DUPLICATE
            continue
        mine = canonical(bytes(values[row].as_py()))
        there = [entry for entry in near if entry.place is None or entry.place in fetched]
        otherwise = CONFLICT if len(there) == len(near) else UNKNOWN
        verdicts[position] = DUPLICATE if any(canonical_of(entry) == mine for entry in there) else otherwise


def _id_of(value: bytes) -> str | None:
    import json

    found = json.loads(value)["event_id"]
    return found if isinstance(found, str) else None


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
