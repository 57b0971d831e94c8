"""An index of one topic's accepted event ids: sorted hashes in memory, for event times within the lateness horizon.

A hit means that an id may be known; `deduplicate.py` then compares the records. Hashes are kept in a few sorted runs
that are merged as they grow (a log-structured merge), so a batch of n ids costs n log m with m ids in the index.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.silver.watermark import UNBOUNDED

_EVICT_AT_LEAST = 50_000

# (event ids or None for all, first time, end time) -> event_id, event_time, _partition, _offset of accepted events.
# Times are microseconds; UNBOUNDED and None mean no limit.
Loader = Callable[[Sequence[str] | None, int, int | None], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Owner:
    """An accepted event: the partition and offset of its record, and a digest of its bytes (0: not known)."""

    event_time: int
    partition: int
    offset: int
    digest: int


@dataclass(frozen=True, slots=True)
class _Run:
    ids: npt.NDArray[np.uint64]  # sorted
    times: npt.NDArray[np.int64]
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "_Run":
        return _Run(
            self.ids[index], self.times[index], self.partitions[index], self.offsets[index], self.digests[index]
        )


def _merged(one: _Run, two: _Run) -> _Run:
    both = _Run(
        np.concatenate([one.ids, two.ids]),
        np.concatenate([one.times, two.times]),
        np.concatenate([one.partitions, two.partitions]),
        np.concatenate([one.offsets, two.offsets]),
        np.concatenate([one.digests, two.digests]),
    )
    return both.take(np.argsort(both.ids, kind="stable"))


def id_hashes(event_ids: pl.Series) -> npt.NDArray[np.uint64]:
    """64-bit hashes of the ids, equal within this process only."""
    hashes: npt.NDArray[np.uint64] = event_ids.hash(seed=_SEED).to_numpy()
    return hashes


def value_digests(values: pl.Series) -> npt.NDArray[np.uint64]:
    """64-bit digests of the records' bytes, equal within this process only and never 0."""
    digests: npt.NDArray[np.uint64] = np.maximum(values.hash(seed=_SEED + 1).to_numpy(), np.uint64(1))
    return digests


_SEED = int(np.random.default_rng().integers(1, 2**62))


class AcceptedIdIndex:
    """Accepted events with event_time >= `floor` (microseconds). The first use loads them from silver."""

    def __init__(self, load: Loader, floor: int = UNBOUNDED) -> None:
        self._load = load
        self._runs: list[_Run] = []
        self.floor = floor
        self._loaded = False

    def __len__(self) -> int:
        """How many events the index holds."""
        return sum(len(run.ids) for run in self._runs)

    def _ensure_loaded(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        rows = self._load(None, self.floor, None)
        if len(rows):
            self.add(
                id_hashes(rows["event_id"]),
                rows["event_time"].to_physical().to_numpy(),
                rows["_partition"].to_numpy(),
                rows["_offset"].to_numpy(),
                np.zeros(len(rows), np.uint64),
            )

    def might_contain(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of these ids the index holds. A hash collision is reported as a hit."""
        self._ensure_loaded()
        hit = np.zeros(len(hashes), bool)
        if not len(hashes):
            return hit
        order = np.argsort(hashes)
        wanted = hashes[order]  # sorted, so that each run is searched from left to right
        for run in self._runs:
            at = np.searchsorted(run.ids, wanted)
            at[at == len(run.ids)] = 0
            hit[order] |= run.ids[at] == wanted
        return hit

    def candidates(self, hashed: int) -> list[Owner]:
        """The events with this hash, by event_time, partition and offset."""
        found = []
        for run in self._runs:
            left = int(np.searchsorted(run.ids, np.uint64(hashed), side="left"))
            right = int(np.searchsorted(run.ids, np.uint64(hashed), side="right"))
            found += [
                Owner(int(run.times[i]), int(run.partitions[i]), int(run.offsets[i]), int(run.digests[i]))
                for i in range(left, right)
            ]
        return sorted(found, key=lambda owner: (owner.event_time, owner.partition, owner.offset))

    def older(self, event_ids: Sequence[str], since: int) -> dict[str, list[Owner]]:
        """Accepted events with these ids and since <= event_time < floor, read from silver."""
        found: dict[str, list[Owner]] = {}
        for event_id, time, partition, offset in (
            self._load(event_ids, since, self.floor).with_columns(pl.col("event_time").to_physical()).iter_rows()
        ):
            found.setdefault(event_id, []).append(Owner(time, partition, offset, 0))
        return found

    def add(
        self,
        hashes: npt.NDArray[np.uint64],
        times: npt.NDArray[np.int64],
        partitions: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        digests: npt.NDArray[np.uint64],
    ) -> None:
        """Add accepted events. `hashes` are those of their ids, `times` their event times in microseconds."""
        self._ensure_loaded()
        if not len(hashes):
            return
        run = _Run(hashes, times, partitions, offsets, digests).take(np.argsort(hashes, kind="stable"))
        while self._runs and len(self._runs[-1].ids) <= 2 * len(run.ids):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def evict_before(self, floor: int) -> None:
        """Drop events before `floor`, where they are at least a quarter of the index; else change nothing."""
        if floor <= self.floor or not self._runs:
            return
        old = [int(np.count_nonzero(run.times < floor)) for run in self._runs]
        if sum(old) < max(_EVICT_AT_LEAST, len(self) // 4):
            return
        kept = [run.take(run.times >= floor) if gone else run for run, gone in zip(self._runs, old, strict=True)]
        self._runs = [run for run in kept if len(run.ids)]
        self.floor = floor
