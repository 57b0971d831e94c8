"""The world now: endless events at a steady rate, each a moment before it is sent."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np

from pipelines.contracts.registry import TOPICS
from producers.data_faults import DataFaults, FaultInjector
from producers.draft import Draft
from producers.engine import Engine, Quota, Sizes
from producers.randomness import fingerprint
from producers.seasons import Window
from producers.text import DAY, SECOND
from producers.world import SHARES, Batch, Outbox

_SIZES = Sizes(titles=160, products=600, customers=4_000, customers_at_end=8_000, review_pace=0.005)
_FEW = 20  # events a window holds at least, unless it would last longer than two seconds
_POS = "pos-transactions"


def share_of(topics: Sequence[str]) -> float:
    """The share of all events that these topics have in a history."""
    shares = {**SHARES, _POS: 1 - sum(SHARES.values())}
    return sum(shares[topic] for topic in TOPICS if topic in topics)


def live(
    seed: int,
    rate: float,
    start: datetime,
    *,
    dirt: DataFaults | None = None,
    topics: Sequence[str] = TOPICS,
    clock: Callable[[], float] | None = None,
) -> Iterator[Batch]:
    """`rate` events a second of these topics from `start` on, for ever, in windows of half a second to two seconds.

    Event times lie in their window, timestamps a moment later; late events happened earlier. Master data and opening
    stock come first, at most half of each window. Pure without a `clock` (seconds since 1970); with one, a generator
    that has fallen behind leaves out the time it missed instead of sending old events.
    """
    dirt = dirt or DataFaults()
    begin = int(start.timestamp() * 1_000)
    tag = fingerprint("live", seed, begin, rate, dirt, tuple(topics), digits=8)
    engine = Engine(seed, tag, _SIZES, begin // DAY, 30, per_day=rate * 86_400)
    if not {_POS, "cinema-sales"} & set(topics):
        engine.reviews.strangers = 1.0  # nobody buys anything here
    backlog = [draft for draft in engine.opening(begin, 1) if draft.topic in topics]
    outbox = Outbox(FaultInjector(dirt, None), seed)
    shares = {topic: share_of([topic]) / share_of(topics) if topic in topics else 0.0 for topic in TOPICS}
    length = int(np.clip(_FEW / rate, 0.5, 2.0) * SECOND)
    index, owed, day = 0, 0.0, -1
    parts = dict.fromkeys(TOPICS, 0.0)
    while True:
        if clock is not None:
            now = int(clock() * 1_000)
            begin = now if now > begin + 2 * SECOND else begin
        end = min(begin + length, (begin // DAY + 1) * DAY)
        window = Window(index, begin, end, begin // DAY != day)
        day = window.day
        owed += rate * (end - begin) / SECOND / (1 + dirt.copies)
        total = int(owed)
        owed -= total
        for draft in _first(backlog, total // 2, window):
            outbox.add_clean(draft)
            total -= len(draft)
        for topic in SHARES:
            parts[topic] += total * shares[topic]
        counts = {topic: int(parts[topic]) for topic in SHARES}
        for topic, count in counts.items():
            parts[topic] -= count
        if shares[_POS] == 0:
            total = sum(counts.values())
        for draft in engine.step(window, Quota(counts, total)):
            if draft.topic in topics:
                outbox.add(draft, index)
        yield from outbox.release(end)
        begin, index = end, index + 1


def _first(backlog: list[Draft], count: int, window: Window) -> Iterator[Draft]:
    """Up to `count` events of the backlog, as if they happened in this window; they are taken from it."""
    while count > 0 and backlog:
        draft = backlog[0]
        taken = min(count, len(draft))
        times = np.linspace(window.begin, window.end - 1, taken).astype(np.int64)
        yield draft.rows(0, taken, times)
        count -= taken
        backlog[0] = draft.rows(taken, len(draft), draft.event_time[taken:])
        if not len(backlog[0]):
            del backlog[0]
