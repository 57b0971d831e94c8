"""Finds copies of events within a batch and among accepted ids (R19-R21)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from pipelines.parsing.exact_path import canonical
from pipelines.silver.accepted_ids import AcceptedIdIndex, Owner, id_hashes, value_digests

# Records' bytes by (partition, offset), from bronze; without those that retention removed.
Fetch = Callable[[Sequence[tuple[int, int]]], Mapping[tuple[int, int], bytes]]

ACCEPTED, DUPLICATE, CONFLICT, UNKNOWN = 0, 1, 2, 3


def find_duplicates(
    candidates: pl.DataFrame, events: pl.DataFrame, values: pa.ChunkedArray, seen: AcceptedIdIndex, fetch: Fetch
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
    suspects = seen.might_contain(hashes) | pl.Series(hashes).is_duplicated().to_numpy() | repeated
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
    seen: AcceptedIdIndex,
    fetch: Fetch,
) -> None:
    known: dict[str, list[_Known]] = {}
    suspects = [(int(position), str(ids[int(position)])) for position in positions]
    wanted: set[tuple[int, int]] = set()
    for position, event_id in suspects:
        if event_id not in known:
            owners = older.get(event_id, []) + seen.candidates(int(hashes[position]))
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
