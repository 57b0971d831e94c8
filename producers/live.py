"""Live events: an endless stream at a steady rate, each generated shortly before it is sent."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np

from pipelines.contracts.registry import TOPICS
from pipelines.errors import UsageError
from producers.data_faults import DataFaults, FaultInjector
from producers.draft import Draft
from producers.engine import Engine, Quota, Sizes
from producers.randomness import fingerprint
from producers.seasons import Window
from producers.text import DAY, SECOND
from producers.world import SHARES, Batch, Outbox

_SIZES = Sizes(titles=160, products=600, customers=4_000, customers_at_end=8_000, review_pace=0.005)
_MIN_WINDOW_EVENTS = 20  # unless the window would last longer than two seconds
_POS = "pos-transactions"


def share_of(topics: Sequence[str]) -> float:
    """Return the share of these topics in all events of a history. A topic without a generator has share 0."""
    shares = {**SHARES, _POS: 1 - sum(SHARES.values())}
    return sum(share for topic, share in shares.items() if topic in topics)


def live(
    seed: int,
    rate: float,
    start: datetime,
    *,
    faults: DataFaults | None = None,
    topics: Sequence[str] = TOPICS,
    clock: Callable[[], float] | None = None,
) -> Iterator[Batch]:
    """Yield `rate` events a second of these topics from `start`, without end, in windows of 0.5 to 2 seconds.

    Event times are within their window and record timestamps up to 4 ms later. Late events have earlier event times.
    Master data and opening stock come first and fill at most half of each window. Without `clock` (seconds since 1970)
    the stream is pure. With `clock`, a generator that falls behind skips the missed time instead of sending old events.
    Raises UsageError if no topic has a generator.
    """
    if share_of(topics) == 0:
        raise UsageError(f"no generator produces {', '.join(topics)}: send a file of events with --file")
    faults = faults or DataFaults()
    begin = int(start.timestamp() * 1_000)
    tag = fingerprint("live", seed, begin, rate, faults, tuple(topics), digits=8)
    engine = Engine(seed, tag, _SIZES, begin // DAY, 30, per_day=rate * 86_400)
    if not {_POS, "cinema-sales"} & set(topics):
        engine.reviews.unverified_share = 1.0  # no purchase to review
    backlog = [draft for draft in engine.opening(begin, 1) if draft.topic in topics]
    outbox = Outbox(FaultInjector(faults, None), seed)
    shares = {topic: share_of([topic]) / share_of(topics) if topic in topics else 0.0 for topic in TOPICS}
    length = int(np.clip(_MIN_WINDOW_EVENTS / rate, 0.5, 2.0) * SECOND)
    index, remainder, day = 0, 0.0, -1
    fractions = dict.fromkeys(TOPICS, 0.0)
    while True:
        if clock is not None:
            now = int(clock() * 1_000)
            begin = now if now > begin + 2 * SECOND else begin
        end = min(begin + length, (begin // DAY + 1) * DAY)
        window = Window(index, begin, end, begin // DAY != day)
        day = window.day
        remainder += rate * (end - begin) / SECOND / (1 + faults.copies)
        total = int(remainder)
        remainder -= total
        for draft in _take(backlog, total // 2, window):
            outbox.add_clean(draft)
            total -= len(draft)
        for topic in SHARES:
            fractions[topic] += total * shares[topic]
        counts = {topic: int(fractions[topic]) for topic in SHARES}
        for topic, count in counts.items():
            fractions[topic] -= count
        if shares[_POS] == 0:
            total = sum(counts.values())
        for draft in engine.step(window, Quota(counts, total)):
            if draft.topic in topics:
                outbox.add(draft, index)
        yield from outbox.release(end)
        begin, index = end, index + 1


def _take(backlog: list[Draft], count: int, window: Window) -> Iterator[Draft]:
    """Remove up to `count` events from the backlog and yield them with times within this window."""
    while count > 0 and backlog:
        draft = backlog[0]
        taken = min(count, len(draft))
        times = np.linspace(window.begin, window.end - 1, taken).astype(np.int64)
        yield draft.rows(0, taken, times)
        count -= taken
        backlog[0] = draft.rows(taken, len(draft), draft.event_time[taken:])
        if not len(backlog[0]):
            del backlog[0]
