"""Runs the parts of the simulation in a fixed order, window by window, and sets their sizes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from producers.cinema import MEAN_SEATS, Cinema
from producers.customers import Customers
from producers.draft import Draft, Ids
from producers.products import Products
from producers.randomness import Floats, Ints, fingerprint, stream
from producers.reviews import Reviews
from producers.screenings import Screenings
from producers.seasons import Window
from producers.shop import MEAN_UNITS, Shop
from producers.stock import Stock
from producers.titles import Titles


@dataclass(frozen=True, slots=True)
class Sizes:
    """Number of members of each kind. `customers` have signed up at the start, `customers_at_end` at the end."""

    titles: int
    products: int
    customers: int
    customers_at_end: int
    review_pace: float

    @classmethod
    def for_history(cls, events: float, days: int) -> "Sizes":
        """Return sizes that suit this number of events."""
        return cls(
            titles=int(np.clip(events * 0.0014, 2, 700)),
            products=int(np.clip(events * 0.005, 3, 6_000)),
            customers=int(np.clip(events * 0.035, 3, 400_000)),
            customers_at_end=int(np.clip(events * 0.05, 5, 600_000)),
            review_pace=float(np.clip(days / 30, 0.02, 1.0)),
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """Number of events of a window: per topic except sales, and in total. Sales are the remainder."""

    by_topic: Mapping[str, int]
    total: int


class Engine:
    """All parts of the simulation, stepped in one order."""

    def __init__(self, seed: int, tag: str, sizes: Sizes, first_day: int, days: int, per_day: float) -> None:
        self.seed, self.first_day = seed, first_day
        house = fingerprint("house", seed, digits=4)  # ids of master data depend on the seed alone
        sales, bookings = 0.46 * per_day, 0.25 * per_day
        self.ids = Ids(tag)
        self.titles = Titles(seed, house, sizes.titles, first_day, days)
        self.products = Products(seed, house, sizes.products, self.titles, sales * MEAN_UNITS)
        spend = 60.0 * sales * 0.8 + 28.0 * bookings * 0.8
        self.customers = Customers(seed, house, sizes.customers_at_end, sizes.customers, first_day, spend)
        self.stock = Stock(self.products)
        self.shop = Shop(self.customers, self.products)
        self.cinema = Cinema(self.customers, Screenings(self.titles, bookings * MEAN_SEATS, self.ids))
        self.reviews = Reviews(self.customers, self.products, self.titles, sizes.review_pace)
        self.opened: dict[str, int] = {}
        self._shortfall = 0

    def opening(self, begin: int, span: int) -> list[Draft]:
        """Return the initial schedule, catalogue, stock and customers, spread over `span` milliseconds."""
        quarter = span // 4

        def step(count: int) -> int:
            return max(quarter // max(count, 1), 0)

        drafts = [
            self.titles.opening(self.first_day, begin, step(self.titles.count), self.ids),
            self.products.opening(self.first_day, begin + quarter, step(self.products.count), self.ids),
            self.stock.opening(
                begin + 2 * quarter, step(2 * self.products.count), stream(self.seed, "stock", "opening"), self.ids
            ),
            self.customers.opening(begin + 3 * quarter, quarter / max(self.customers.active, 1), self.ids),
        ]
        self.opened = dict.fromkeys(("cinema-sales", "customer-reviews"), 0)
        self.opened |= {draft.topic: len(draft) for draft in drafts}
        return drafts

    def buzz(self, days: Ints) -> Floats:
        """Return the appeal of each day's cinema programme, relative to the mean."""
        appeal = np.array([self.titles.appeal(int(day)).sum() for day in days])
        mean = appeal.mean()
        return appeal / mean if mean > 0 else np.ones(len(days))

    def step(self, window: Window, quota: Quota) -> Iterator[Draft]:
        """Yield the events of one window, unordered."""

        def random(name: str) -> np.random.Generator:
            return stream(self.seed, name, window.index)

        left = quota.total + self._shortfall
        want = quota.by_topic
        parts: tuple[Callable[[], Draft | None], ...] = (
            lambda: self.titles.changes(window, want["anime-schedule"], random("titles"), self.ids),
            lambda: self.products.changes(window, want["product-catalog"], random("products"), self.ids),
            lambda: self.customers.changes(window, want["customer-profiles"], random("customers"), self.ids),
            lambda: self.stock.move(window, want["inventory-updates"], random("stock"), self.ids),
            lambda: self.cinema.sell(window, want["cinema-sales"], random("cinema"), self.ids),
            lambda: self.reviews.write(window, want["customer-reviews"], random("reviews"), self.ids),
            lambda: self.shop.sell(window, left, self.stock.on_hand, random("shop"), self.ids),
        )
        for part in parts:
            draft = part()
            if draft is not None:
                left -= len(draft)
                yield draft
        self._shortfall = left  # added to the next window; negative for a surplus
        self.stock.settle()
        self.reviews.schedule(self.cinema.purchases, of_titles=True, random=random("viewers"))
        self.reviews.schedule(self.shop.purchases, of_titles=False, random=random("buyers"))
