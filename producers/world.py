"""Simulated history of the shop: seeded and pure. The same parameters give the same bytes.

The world advances in time windows. In each window master data changes, stock moves, then seats, reviews and baskets
follow, in that order, so nothing is sold that is not in stock. Faults and delays then turn events into records.
Records leave in order of arrival. Memory holds one window and the records not yet arrived, whatever the length.
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
_BUSINESS_BEGINS = 30 * MINUTE  # on the first day; the master data is loaded before
_WINDOW_EVENTS = 40_000  # a day with more events is divided into equal windows


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one topic in order of arrival, and the known facts of each (columns `data_faults.FACTS`)."""

    topic: str
    records: pa.Table
    facts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class World:
    """About `events` records over all topics that arrive within `days` days from 00:00 UTC of `start`."""

    seed: int
    start: date
    days: int
    events: int
    faults: DataFaults = field(default_factory=DataFaults)

    def __post_init__(self) -> None:
        """Raise ValueError without a day or without events."""
        if self.days < 1 or self.events < 1:
            raise ValueError(f"a world needs at least one day and one event, found {self.days} and {self.events}")

    @property
    def name(self) -> str:
        """A short hash of the parameters. Each event id contains it after its topic's letter."""
        return fingerprint(self.seed, self.start.isoformat(), self.days, self.events, self.faults, digits=8)

    def batches(self) -> Iterator[Batch]:
        """Yield the history window by window, and topic by topic within a window."""
        first = day_number(self.start)
        begin, end = first * DAY, (first + self.days) * DAY
        events = self.events / (1.0 + self.faults.copies)
        sizes = Sizes.for_history(events, self.days)
        engine = Engine(self.seed, self.name, sizes, first, self.days, per_day=events / self.days)
        outbox = Outbox(FaultInjector(self.faults, end), self.seed)
        for draft in engine.opening(begin, 20 * MINUTE):
            outbox.add_clean(draft)
        for window, quota in _windows(self, engine):
            for draft in engine.step(window, quota):
                outbox.add(draft, window.index)
            yield from outbox.release(window.end)


def _windows(world: World, engine: Engine) -> Iterator[tuple[Window, Quota]]:
    """Yield each window and its number of events per topic, weighted by weekday, holiday and cinema programme."""
    first = day_number(world.start)
    opened = engine.opened
    rest = max(world.events - sum(opened.values()), 0) / (1.0 + world.faults.copies)
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
    """Records that were sent and have not arrived yet, by topic."""

    def __init__(self, injector: FaultInjector, seed: int) -> None:
        self._injector, self._seed = injector, seed
        self._fresh: dict[str, list[pl.DataFrame]] = {topic: [] for topic in TOPICS}
        self._waiting: dict[str, pl.DataFrame | None] = dict.fromkeys(TOPICS)
        self._clean = FaultInjector(DataFaults.none(), injector.end)

    def add(self, draft: Draft, index: int) -> None:
        """Inject faults and send."""
        random = stream(self._seed, "dirt", draft.topic, index)  # the name is part of the seed
        self._fresh[draft.topic].append(self._injector.inject(draft, random))

    def add_clean(self, draft: Draft) -> None:
        """Send without faults: the first load of master data."""
        self._fresh[draft.topic].append(self._clean.inject(draft, stream(self._seed, "opening", draft.topic)))

    def release(self, before: int) -> Iterator[Batch]:
        """Yield the records that arrive before that time (milliseconds since 1970), in order of arrival."""
        for topic in TOPICS:
            waiting = self._waiting[topic]
            frames = [*([] if waiting is None else [waiting]), *self._fresh[topic]]
            self._fresh[topic] = []
            if not frames:
                continue
            rows = pl.concat(frames, how="diagonal").sort("arrival", maintain_order=True)
            count = int(rows["arrival"].search_sorted(before))
            later = rows.slice(count)
            # Copy through Arrow: a slice of a text column would keep the text of the whole window in memory.
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
