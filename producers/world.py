"""AnimeVerse as it could be: one seeded, pure world. The same parameters give the same bytes.

A world is a fold over windows of time. In each window the master data changes, stock moves, seats, reviews and baskets
are sold, in that order, so that nothing is sold that is not there; then dirt and delay turn events into records. What
arrives later waits; records leave in order of arrival. Memory holds one window and what waits, whatever the length.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.contracts.registry import TOPICS
from pipelines.log.interface import HEADERS, OUTGOING
from producers.data_faults import FACTS, DataFaults, FaultInjector
from producers.draft import Draft
from producers.engine import Engine, Quota, Sizes
from producers.randomness import fingerprint, share_out, stream
from producers.seasons import Window, calendar_day, cinema_factor, day_number, shop_factor
from producers.text import DAY, MINUTE

SHARES = {
    "cinema-sales": 0.25, "inventory-updates": 0.12, "customer-reviews": 0.06, "customer-profiles": 0.08,
    "product-catalog": 0.02, "anime-schedule": 0.01,
}  # fmt: skip
_BUSINESS_BEGINS = 30 * MINUTE  # on the first day; before it the master data is loaded
_WINDOW_EVENTS = 40_000  # a day with more is cut into equal windows


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one topic in order of arrival, and for each what the world knows about it (columns dirt.FACTS)."""

    topic: str
    records: pa.Table
    facts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class World:
    """`events` records over all topics (give or take a few) that arrive in `days` days from 00:00 UTC of `start` on."""

    seed: int
    start: date
    days: int
    events: int
    dirt: DataFaults = field(default_factory=DataFaults)

    def __post_init__(self) -> None:
        """Refuse a world without time or events."""
        if self.days < 1 or self.events < 1:
            raise ValueError(f"a world needs at least one day and one event, found {self.days} and {self.events}")

    @property
    def name(self) -> str:
        """A short name of these parameters; every id of an event begins with its topic's letter and this."""
        return fingerprint(self.seed, self.start.isoformat(), self.days, self.events, self.dirt, digits=8)

    def batches(self) -> Iterator[Batch]:
        """The history: window by window, in each window topic by topic."""
        first = day_number(self.start)
        begin, end = first * DAY, (first + self.days) * DAY
        events = self.events / (1.0 + self.dirt.copies)
        sizes = Sizes.for_history(events, self.days)
        engine = Engine(self.seed, self.name, sizes, first, self.days, per_day=events / self.days)
        outbox = Outbox(FaultInjector(self.dirt, end), self.seed)
        for draft in engine.opening(begin, 20 * MINUTE):
            outbox.add_clean(draft)
        for window, quota in _plan(self, engine):
            for draft in engine.step(window, quota):
                outbox.add(draft, window.index)
            yield from outbox.release(window.end)


def _plan(world: World, engine: Engine) -> Iterator[tuple[Window, Quota]]:
    """Windows and how many events of each topic fall into each, by weekday, holiday and what is showing."""
    first = day_number(world.start)
    opened = engine.opened
    rest = max(world.events - sum(opened.values()), 0) / (1.0 + world.dirt.copies)
    events = rest + sum(opened.values())
    pieces = int(np.clip(np.ceil(events / world.days / _WINDOW_EVENTS), 1, 1_440))
    days = np.arange(first, first + world.days)
    dates = [calendar_day(int(day)) for day in days]
    shop = np.array([shop_factor(day) for day in dates])
    buzz = engine.buzz(days)
    cinema = np.array([cinema_factor(day) for day in dates]) * (0.55 + 0.45 * buzz)
    steady = np.ones(world.days)
    curve = {"cinema-sales": cinema, "inventory-updates": 0.6 + 0.4 * shop, "customer-reviews": 0.5 + 0.5 * shop}
    part = np.full(pieces, 1.0)
    part[0] -= _BUSINESS_BEGINS / DAY if world.days * pieces == 1 else 0.0
    counts = {}
    for topic, share in SHARES.items():
        weights = np.repeat(curve.get(topic, steady), pieces) * np.tile(part, world.days)
        counts[topic] = share_out(max(share * events - opened[topic], 0), weights)
    mix = (1 - sum(SHARES.values())) * shop / shop.mean()
    for topic, share in SHARES.items():
        mix = mix + share * curve.get(topic, steady) / curve.get(topic, steady).mean()
    totals = share_out(rest, np.repeat(mix, pieces))
    for index in range(world.days * pieces):
        midnight = int(days[index // pieces]) * DAY
        piece = index % pieces
        begin = midnight + DAY * piece // pieces
        if index == 0:
            begin = midnight + min(_BUSINESS_BEGINS, DAY // pieces - MINUTE // 4)
        window = Window(index, begin, midnight + DAY * (piece + 1) // pieces, piece == 0)
        yield window, Quota({topic: int(count[index]) for topic, count in counts.items()}, int(totals[index]))


class Outbox:
    """Records that have been sent and not yet arrived, by topic."""

    def __init__(self, spoiler: FaultInjector, seed: int) -> None:
        self._spoiler, self._seed = spoiler, seed
        self._fresh: dict[str, list[pl.DataFrame]] = {topic: [] for topic in TOPICS}
        self._waiting: dict[str, pl.DataFrame | None] = dict.fromkeys(TOPICS)
        self._clean = FaultInjector(DataFaults.none(), spoiler.end)

    def add(self, draft: Draft, index: int) -> None:
        """Spoil and send."""
        random = stream(self._seed, "dirt", draft.topic, index)
        self._fresh[draft.topic].append(self._spoiler.spoil(draft, random))

    def add_clean(self, draft: Draft) -> None:
        """Send as it is: the first load of master data."""
        self._fresh[draft.topic].append(self._clean.spoil(draft, stream(self._seed, "opening", draft.topic)))

    def release(self, before: int) -> Iterator[Batch]:
        """All that has arrived by then, in order of arrival."""
        for topic in TOPICS:
            waiting = self._waiting[topic]
            frames = [*([] if waiting is None else [waiting]), *self._fresh[topic]]
            self._fresh[topic] = []
            if not frames:
                continue
            rows = pl.concat(frames, how="diagonal").sort("arrival", maintain_order=True)
            count = int(rows["arrival"].search_sorted(before))
            later = rows.slice(count)
            # Through Arrow: a slice of a text column would keep the whole window's text alive.
            self._waiting[topic] = (
                pl.DataFrame(later.to_arrow(compat_level=pl.CompatLevel.oldest())) if len(later) else None
            )
            if count:
                yield _batch(topic, rows.head(count))


def _batch(topic: str, rows: pl.DataFrame) -> Batch:
    text = rows.select("key", "value").to_arrow(compat_level=pl.CompatLevel.oldest())
    moments = pa.array(rows["arrival"].to_numpy() * 1_000).cast(pa.timestamp("us", tz="UTC"))
    columns = [
        pa.nulls(len(rows), pa.int32()),
        moments,
        text.column("key").cast(pa.large_binary()).cast(pa.binary()),
        pa.nulls(len(rows), HEADERS),
        text.column("value").cast(pa.binary()),
    ]
    return Batch(topic, pa.Table.from_arrays(columns, schema=OUTGOING), rows.select(list(FACTS)))
