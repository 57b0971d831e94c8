"""Finds copies of events within a batch and among accepted events (R19-R21)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.parsing.json_text import canonical, event_id_of
from pipelines.silver.accepted_ids import AcceptedIdIndex, Owner, id_hashes, value_digests

# Values of records by (partition, offset), from bronze; records that retention removed are missing.
Fetch = Callable[[Sequence[tuple[int, int]]], Mapping[tuple[int, int], bytes]]

ACCEPTED, DUPLICATE, CONFLICT, UNKNOWN = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Candidates:
    """Events that are accepted unless they are copies, in bronze order. Times are in microseconds."""

    event_ids: pl.Series
    event_times: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]  # accepted events before it are too old to be the original of a copy
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    values: pl.Series  # the records' bytes
    is_repeated: npt.NDArray[np.bool_]  # releases of a record of which an earlier release was accepted

    def __len__(self) -> int:
        """How many events."""
        return len(self.event_ids)


def find_duplicates(candidates: Candidates, index: AcceptedIdIndex, fetch: Fetch) -> npt.NDArray[np.uint8]:
    """One verdict for each candidate; accepted candidates are added to the index.

    The first event with an id is ACCEPTED. A later one is a DUPLICATE where the content is identical, else a CONFLICT.
    It is UNKNOWN where it differs from all that can be compared and bronze no longer has an original's record.
    """
    verdicts = np.full(len(candidates), ACCEPTED, np.uint8)
    if not len(candidates):
        return verdicts
    hashes, digests = id_hashes(candidates.event_ids), value_digests(candidates.values)
    suspects = index.might_contain(hashes) | pl.Series(hashes).is_duplicated().to_numpy() | candidates.is_repeated
    older: dict[str, list[Owner]] = {}
    is_below = candidates.bounds < index.floor
    if is_below.any():
        since = int(candidates.bounds[is_below].min())
        older = index.older(candidates.event_ids.filter(pl.Series(is_below)).to_list(), since)
        suspects |= candidates.event_ids.is_in(list(older)).to_numpy()
    positions = [int(position) for position in np.flatnonzero(suspects)]
    if positions:
        owners = {
            event_id: older.get(event_id, []) + index.candidates(int(hashes[position]))
            for position, event_id in _first_of_each_id(candidates, positions)
        }
        _compare(candidates, positions, digests, owners, fetch, verdicts)
    won = verdicts == ACCEPTED
    index.add(
        hashes[won], candidates.event_times[won], candidates.partitions[won], candidates.offsets[won], digests[won]
    )
    return verdicts


def _first_of_each_id(candidates: Candidates, positions: Sequence[int]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    for position in positions:
        first.setdefault(str(candidates.event_ids[position]), position)
    return [(position, event_id) for event_id, position in first.items()]


@dataclass(slots=True)
class _Original:
    """An accepted event that a suspect may be a copy of: one in bronze or an earlier candidate."""

    event_time: int
    digest: int  # of the record's bytes; 0: not known
    ref: tuple[int, int] | None  # of the record in bronze
    position: int | None  # among the candidates


def _compare(
    candidates: Candidates,
    positions: Sequence[int],
    digests: npt.NDArray[np.uint64],
    owners: Mapping[str, Sequence[Owner]],
    fetch: Fetch,
    verdicts: npt.NDArray[np.uint8],
) -> None:
    """Set the verdicts of the candidates at these positions. `owners` are the accepted events that may have the id."""
    originals = {
        event_id: [_Original(owner.event_time, owner.digest, (owner.partition, owner.offset), None) for owner in found]
        for event_id, found in owners.items()
    }
    suspects = [(position, str(candidates.event_ids[position])) for position in positions]
    wanted = {
        original.ref
        for position, event_id in suspects
        for original in originals[event_id]
        if original.ref and original.digest != int(digests[position])
    }
    fetched = fetch(sorted(wanted)) if wanted else {}
    for event_id, found in originals.items():
        # Hashes may collide: a record that was fetched must have this very id.
        originals[event_id] = [
            original
            for original in found
            if original.ref is None or original.ref not in fetched or event_id_of(fetched[original.ref]) == event_id
        ]
    contents: dict[int | tuple[int, int], object] = {}

    def content_of(original: _Original) -> object:
        key = original.ref if original.ref is not None else int(original.position or 0)
        if key not in contents:
            value = fetched[key] if isinstance(key, tuple) else candidates.values[key]
            contents[key] = canonical(value)
        return contents[key]

    for position, event_id in suspects:
        digest = int(digests[position])
        near = [original for original in originals[event_id] if original.event_time >= candidates.bounds[position]]
        if not near and candidates.is_repeated[position]:
            verdicts[position] = DUPLICATE  # of the earlier release, whatever id this one has
        elif not near:
            originals[event_id].append(_Original(int(candidates.event_times[position]), digest, None, position))
        elif any(original.digest == digest for original in near):
            verdicts[position] = DUPLICATE
        else:
            content = canonical(candidates.values[position])
            held = [original for original in near if original.ref is None or original.ref in fetched]
            if any(content_of(original) == content for original in held):
                verdicts[position] = DUPLICATE
            else:
                verdicts[position] = CONFLICT if len(held) == len(near) else UNKNOWN
