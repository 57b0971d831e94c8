"""Merchandise: products of titles, their prices, launches and ends of sale (`product-catalog`)."""

import numpy as np
import polars as pl

from producers import names
from producers.draft import Draft, Ids, draft_of
from producers.places import places
from producers.randomness import Floats, GroupedOdds, Ints, Odds, stream
from producers.seasons import Window
from producers.text import ids, join, money, quoted, strings, whole
from producers.titles import Titles

_STATUS = strings(("active", "discontinued"))
_FAR = 2**62


class Products:
    """All products by index. Prices are in cents. `price` applies from `priced_at`, `old_price` before."""

    def __init__(self, seed: int, world: str, count: int, titles: Titles, units_a_day: float) -> None:
        def draw(name: str) -> Floats:
            return stream(seed, "products", name).random(count)

        self.count, self.titles = count, titles
        self.ids = ids(f"P-{world}-", count, 5)
        title = Odds(titles.popularity**0.7).pick(draw("title"))
        self.title = np.where(draw("own") < 0.04, -1, title)  # -1: own brand, without a title
        category = Odds(names.CATEGORY_WEIGHTS).pick(draw("category"))
        low, high = np.array(names.CATEGORY_PRICES).T
        euros = low[category] + (high - low)[category] * draw("price") ** 1.6
        self.price = euros.astype(np.int64) // 100 * 100 + np.where(draw("ending") < 0.7, 99, 50)
        self.old_price, self.priced_at = self.price.copy(), np.full(count, -_FAR)
        self.cost = (self.price * (0.42 + 0.24 * draw("cost"))).astype(np.int64)
        pair = np.array(names.CATEGORY_SUPPLIERS)[category]
        self.supplier = np.where(draw("supplier") < 0.7, pair[:, 0], pair[:, 1]) - 1
        genre = np.where(self.title >= 0, titles.genre[self.title], len(names.GENRES) - 1)
        self.genre = genre.astype(np.int64)
        appeal = np.where(self.title >= 0, titles.popularity[self.title], titles.popularity.mean())
        self.appeal = appeal * (0.35 + draw("appeal")) * (2_500.0 / self.price) ** 0.35
        self.quality = np.clip(3.9 + 1.2 * (draw("quality") - 0.6), 1.5, 4.8)
        self.companion = self._companions(category)
        self.known = np.zeros(count, np.bool_)
        self.ended = np.zeros(count, np.bool_)
        self.gone = np.zeros(count, np.bool_)
        self.demand = units_a_day * self.appeal / self.appeal.sum()  # units expected on an ordinary day
        lead = np.array(places().supplier_lead_days)[self.supplier]
        self.lead_days = lead
        self.reorder_point = np.ceil(self.demand * (lead + 5)).astype(np.int64) + 2
        self._queue: list[int] = []
        label = stream(seed, "products", "label").random(count)
        titled = names.titles(seed, titles.count)
        of_title = pl.concat([join([',"title_id":"', titles.ids, '"'], titles.count), strings([""])])
        self._text = join(
            [
                '"product_id":"', self.ids, '","name":',
                quoted(
                    names.product_name(titled[of] if of >= 0 else None, kind, chance)
                    for of, kind, chance in zip(self.title.tolist(), category.tolist(), label.tolist(), strict=True)
                ),
                ',"category":', quoted(names.CATEGORIES)[category],
                of_title[np.where(self.title >= 0, self.title, titles.count)],
                ',"supplier_id":', quoted(places().supplier_ids)[self.supplier], ',"list_price":',
            ],
            count,
        )  # fmt: skip

    def _companions(self, category: Ints) -> Ints:
        """Return the companion of each product: another one of the same title, of another category if possible."""
        order = np.lexsort((np.arange(self.count), category, self.title))
        title = self.title[order]
        first = np.searchsorted(title, title, side="left")
        size = np.searchsorted(title, title, side="right") - first
        at = np.arange(self.count) - first
        companion = np.empty(self.count, np.int64)
        companion[order] = order[first + (at + np.maximum(size // 2, 1)) % size]
        return companion

    def price_at(self, products: Ints, times: Ints) -> Ints:
        """Return the list price at these times."""
        price: Ints = np.where(times < self.priced_at[products], self.old_price[products], self.price[products])
        return price

    def odds(self, day: int, on_hand: Ints) -> GroupedOdds:
        """Return the odds of each product today, grouped by genre. The last group contains all products."""
        title = np.maximum(self.title, 0)
        halo = np.where(self.title >= 0, self.titles.halo(day)[title], 1.0)
        weight = self.appeal * halo * np.where(self.ended, 0.35, 1.0) * (self.known & ~self.gone & (on_hand > 0))
        genres = len(names.GENRES)
        groups = np.concatenate([self.genre, np.full(self.count, genres)])
        return GroupedOdds(groups, np.concatenate([weight, weight]), genres + 1)

    def opening(self, first_day: int, begin: int, step: int, tag: Ids) -> Draft:
        """Return the initial catalogue: all products except those of titles not announced yet."""
        self.known = (self.title < 0) | (self.titles.known_from[np.maximum(self.title, 0)] <= first_day)
        chosen = np.flatnonzero(self.known)
        return self._upserts(chosen, begin + step * np.arange(len(chosen)), tag)

    def changes(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return at most `count` changes: launches, prices, costs, ends of sale, then unchanged entries sent again."""
        if window.opens_day:
            titles = self.titles
            announced = (self.title >= 0) & (titles.status >= 0)[np.maximum(self.title, 0)] & ~self.known
            waiting = set(self._queue)
            self._queue += [int(product) for product in np.flatnonzero(announced) if product not in waiting]
        launches = self._queue[:count]
        del self._queue[: len(launches)]
        known = np.flatnonzero(self.known & ~self.gone)
        picked = random.permutation(len(known))[: count - len(launches)]
        chosen = np.concatenate([np.array(launches, np.int64), known[picked]])
        if not len(chosen):
            return None
        times = np.sort(window.times("office", random.random(len(chosen))))
        launched = np.isin(chosen, launches)
        kind = np.where(launched, 1.0, random.random(len(chosen)))
        self._reprice(chosen, times, kind < 0.30, random)
        cost_changes = (kind >= 0.30) & (kind < 0.42)
        self.cost[chosen] = np.where(
            cost_changes,
            (self.cost[chosen] * (0.97 + 0.09 * random.random(len(chosen)))).astype(np.int64),
            self.cost[chosen],
        )
        ended = chosen[(kind >= 0.42) & (kind < 0.435) & ~self.ended[chosen]]
        self.gone[chosen[(kind >= 0.435) & (kind < 0.5) & self.ended[chosen]]] = True
        self.ended[ended] = True
        self.known[launches] = True
        return self._upserts(chosen, times, tag)

    def _reprice(self, chosen: Ints, times: Ints, which: np.ndarray, random: np.random.Generator) -> None:
        self.old_price, self.priced_at = self.price.copy(), np.full(self.count, -_FAR)
        factor = np.where(random.random(len(chosen)) < 0.54, 0.85, 1.12) + 0.06 * random.random(len(chosen))
        price = np.maximum((self.price[chosen] * factor).astype(np.int64) // 100 * 100 + 99, self.cost[chosen] + 20)
        self.price[chosen] = np.where(which, price, self.price[chosen])
        self.priced_at[chosen] = np.where(which, times, -_FAR)

    def _upserts(self, chosen: Ints, times: Ints, tag: Ids) -> Draft:
        count = len(chosen)
        keys = self.ids[chosen]
        rest = join(
            [
                self._text[chosen], money(self.price[chosen]), ',"unit_cost":', money(self.cost[chosen]),
                ',"reorder_point":', whole(self.reorder_point[chosen]), ',"status":"',
                _STATUS[self.ended[chosen].astype(np.int64)], '"}',
            ],
            count,
        )  # fmt: skip
        gone = self.gone[chosen]
        if gone.any():
            rest = rest.zip_with(pl.Series(values=~gone), join(['"product_id":"', keys, '"}'], count))
        types = strings(("upsert", "delete"))[gone.astype(np.int64)]
        numbers = whole(tag.take("c", count))
        return draft_of(
            "product-catalog", join([f"c-{tag.tag}-", numbers], count), types, times, keys, rest, caused=True
        )
