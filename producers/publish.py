"""From batches to a log: as fast as it goes, at a steady rate, or when each record's time has come; and resumable."""

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

CHUNK = 20_000  # records that go to the log before the next look at `stop`
_TICK = 0.02  # seconds between two looks of a live producer

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
    pace: RateLimiter | None = None,
) -> int:
    """Send the records of `topics` in order of arrival, at most `count`, at `rate` records a second; how many went.

    Every record counted is durable. `progress` gets the records sent since its last call. `stop` is asked between
    appends: a run that is stopped has sent whole appends only. The topics must exist.
    """
    pace = pace or (RateLimiter(rate) if rate else None)
    sent = 0
    for wave in _waves(batches, topics, CHUNK if pace is None else 1):
        queue = _Queue(wave)
        while queue.left:
            if stop() or sent == count:
                return sent
            most = min(queue.left, CHUNK if pace is None else pace.wait(stop))
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
    """Send each record when its timestamp has come, in ticks of 20 ms, until `stop` or `count`; how many went."""
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
    """The batches of one wave as one queue in order of arrival."""

    def __init__(self, wave: Sequence[Batch]) -> None:
        self._wave = wave
        times = [batch.records["timestamp"].cast(pa.int64()).to_numpy() for batch in wave]
        topic = np.repeat(np.arange(len(wave)), [len(column) for column in times])
        all_times = np.concatenate(times)
        order = np.argsort(all_times, kind="stable")  # each topic's own order stays as it is
        self._times, self._topic = all_times[order], topic[order]
        self._at, self._given = 0, [0] * len(wave)

    @property
    def left(self) -> int:
        """Records not taken yet."""
        return len(self._times) - self._at

    def due(self, now: int) -> int:
        """How many have a timestamp up to now (microseconds since 1970)."""
        return int(np.searchsorted(self._times[self._at :], now, side="right"))

    def take(self, count: int) -> Iterator[tuple[str, pa.Table]]:
        """The next `count` records, topic by topic."""
        share = np.bincount(self._topic[self._at : self._at + count], minlength=len(self._wave))
        self._at += count
        for number, rows in enumerate(share.tolist()):
            if rows:
                begin = self._given[number]
                self._given[number] += rows
                yield self._wave[number].topic, self._wave[number].records.slice(begin, rows)


def _waves(batches: Iterable[Batch], topics: Sequence[str], least: int) -> Iterator[list[Batch]]:
    """Batches of the wanted topics gathered until there are `least` records; a topic's batches become one.

    A wave ends where a topic would come twice, or when it is large enough.
    """
    gathered: dict[str, list[Batch]] = {}
    seen: set[str] = set()
    size = 0
    for batch in batches:
        if batch.topic in seen:  # the window before is complete
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
    """`publish` a world; an interrupted run with the same parameters and `state` file goes on and sends nothing twice.

    Returns how many went in this run. `watch` sees every batch of the world, sent before or not (`Truth.watch`).
    """
    wanted = [topic for topic in TOPICS if topic in topics]
    run = Run(log, f"{world.name}/{count}", state, wanted)
    batches = run.rest(watch(world.batches()))
    sent = publish(log, batches, rate=rate, count=count, topics=wanted, progress=progress, stop=stop)
    if sent == count or run.is_over(sent):
        state.unlink(missing_ok=True)
    return sent
