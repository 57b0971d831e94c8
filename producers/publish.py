"""Publish batches to a log: at full speed, at a steady rate, or at each record's timestamp. A history can resume."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.contracts.registry import TOPICS
from pipelines.log.interface import Log
from producers.rate_limiter import RateLimiter
from producers.resume import Run
from producers.world import Batch, World

CHUNK = 20_000  # records sent between two checks of `stop`
_TICK = 0.02  # seconds between two checks of a live producer

Progress = Callable[[int], None]


def _nothing(_records: int) -> None: ...


def _never() -> bool:
    return False


def publish(
    log: Log,
    batches: Iterable[Batch],
    *,
    rate: float | None = None,
    count: int | None = None,
    topics: Sequence[str] = TOPICS,
    progress: Progress = _nothing,
    stop: Callable[[], bool] = _never,
    limiter: RateLimiter | None = None,
) -> int:
    """Send the records of `topics` in order of arrival and return how many were acknowledged.

    Sends at most `count` records, at `rate` records a second. `progress` receives the number of records sent since its
    last call. `stop` is checked between appends, so a stopped run has sent whole appends only. The topics must exist.
    """
    limiter = limiter or (RateLimiter(rate) if rate else None)
    sent = 0
    for wave in _waves(batches, topics, CHUNK if limiter is None else 1):
        queue = _Queue(wave)
        while queue.left:
            if stop() or sent == count:
                return sent
            most = min(queue.left, CHUNK if limiter is None else limiter.wait(stop))
            if count is not None:
                most = min(most, count - sent)
            for topic, records in queue.take(most):
                done = log.append(topic, records)
                sent += done
                progress(done)
    return sent


def publish_live(
    log: Log,
    batches: Iterable[Batch],
    *,
    count: int | None = None,
    topics: Sequence[str] = TOPICS,
    progress: Progress = _nothing,
    stop: Callable[[], bool] = _never,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send each record at its timestamp, in ticks of 20 ms, until `stop` or `count`; return how many were sent."""
    sent = 0
    for wave in _waves(batches, topics, 1):
        queue = _Queue(wave)
        while queue.left:
            if stop() or sent == count:
                return sent
            due = queue.due(int(clock() * 1_000_000))
            if count is not None:
                due = min(due, count - sent)
            for topic, records in queue.take(due):
                done = log.append(topic, records)
                sent += done
                progress(done)
            if queue.left:
                sleep(_TICK)
    return sent


class _Queue:
    """The batches of one wave, merged in order of arrival."""

    def __init__(self, wave: Sequence[Batch]) -> None:
        self._wave = wave
        times = [batch.records["timestamp"].cast(pa.int64()).to_numpy() for batch in wave]
        topic = np.repeat(np.arange(len(wave)), [len(column) for column in times])
        all_times = np.concatenate(times)
        order = np.argsort(all_times, kind="stable")  # keeps the order within a topic
        self._times, self._topic = all_times[order], topic[order]
        self._next, self._taken = 0, [0] * len(wave)

    @property
    def left(self) -> int:
        """Number of records not taken yet."""
        return len(self._times) - self._next

    def due(self, now: int) -> int:
        """Return how many have a timestamp up to `now` (microseconds since 1970)."""
        return int(np.searchsorted(self._times[self._next :], now, side="right"))

    def take(self, count: int) -> Iterator[tuple[str, pa.Table]]:
        """Take the next `count` records; yields one table per topic."""
        counts = np.bincount(self._topic[self._next : self._next + count], minlength=len(self._wave))
        self._next += count
        for number, rows in enumerate(counts.tolist()):
            if rows:
                begin = self._taken[number]
                self._taken[number] += rows
                yield self._wave[number].topic, self._wave[number].records.slice(begin, rows)


def _waves(batches: Iterable[Batch], topics: Sequence[str], least: int) -> Iterator[list[Batch]]:
    """Yield waves of at least `least` records of these topics, one batch per topic.

    A wave ends only at the end of a window: where a topic comes a second time.
    """
    gathered: dict[str, list[Batch]] = {}
    seen: set[str] = set()
    size = 0
    for batch in batches:
        if batch.topic in seen:  # the previous window is complete
            seen = set()
            if size >= least:
                yield [_merged(parts) for parts in gathered.values()]
                gathered, size = {}, 0
        seen.add(batch.topic)
        if batch.topic in topics:
            gathered.setdefault(batch.topic, []).append(batch)
            size += batch.records.num_rows
    if size:
        yield [_merged(parts) for parts in gathered.values()]


def _merged(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return Batch(parts[0].topic, pa.concat_tables(part.records for part in parts), parts[0].facts)


def publish_history(
    log: Log,
    world: World,
    state: Path,
    *,
    rate: float | None = None,
    count: int | None = None,
    topics: Sequence[str] = TOPICS,
    progress: Progress = _nothing,
    stop: Callable[[], bool] = _never,
    watch: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> int:
    """Publish a world. After an interruption, the same parameters and `state` file continue without repeats.

    Returns how many records this run sent. `watch` receives every batch of the world, already sent or not
    (`Truth.watch`). Raises UsageError if another process wrote to a topic since the run began.
    """
    wanted = [topic for topic in TOPICS if topic in topics]
    run = Run(log, f"{world.name}/{count}", state, wanted)
    batches = run.remaining(watch(world.batches()))
    sent = publish(log, batches, rate=rate, count=count, topics=wanted, progress=progress, stop=stop)
    if sent == count or run.is_complete(sent):
        state.unlink(missing_ok=True)
    return sent
