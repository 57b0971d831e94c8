"""Customers: home, taste, spend, and changes to them (`customer-profiles`)."""

import unicodedata
from collections.abc import Callable

import numpy as np
import polars as pl

from producers import names
from producers.draft import Draft, Ids, draft_of
from producers.places import places
from producers.randomness import Floats, Ints, Odds, stream
from producers.seasons import Window
from producers.text import dates, ids, join, quoted, strings, whole

TIERS = strings(("none", "bronze", "silver", "gold"))
CHANNELS = ("store", "online", "mobile")

# city, country, weight, city of the store they go to, city of their cinema
_CITIES = (
    ("Berlin", "DE", 10.0, "Berlin", "Berlin"), ("Potsdam", "DE", 1.2, "Berlin", "Berlin"),
    ("Leipzig", "DE", 2.0, "Berlin", "Berlin"), ("Hamburg", "DE", 5.0, "Hamburg", "Berlin"),
    ("Bremen", "DE", 1.5, "Hamburg", "Berlin"), ("München", "DE", 5.0, "München", "Wien"),
    ("Düsseldorf", "DE", 4.5, "Düsseldorf", "Paris"), ("Köln", "DE", 3.5, "Düsseldorf", "Paris"),
    ("Paris", "FR", 11.0, "Paris", "Paris"), ("Lille", "FR", 1.5, "Paris", "Paris"),
    ("Lyon", "FR", 3.5, "Lyon", "Paris"), ("Marseille", "FR", 2.0, "Lyon", "Milano"),
    ("Madrid", "ES", 7.0, "Madrid", "Madrid"), ("Sevilla", "ES", 1.5, "Madrid", "Madrid"),
    ("Barcelona", "ES", 5.0, "Barcelona", "Madrid"), ("Milano", "IT", 6.0, "Milano", "Milano"),
    ("Torino", "IT", 2.0, "Milano", "Milano"), ("Wien", "AT", 5.0, "Wien", "Wien"),
    ("Graz", "AT", 1.0, "Wien", "Wien"), ("Amsterdam", "NL", 4.0, "Amsterdam", "Paris"),
    ("Utrecht", "NL", 1.5, "Amsterdam", "Berlin"), ("Bruxelles", "BE", 2.5, "Paris", "Paris"),
    ("Lisboa", "PT", 3.5, "Lisboa", "Madrid"), ("Dublin", "IE", 1.5, "Amsterdam", "Paris"),
)  # fmt: skip


def _ascii(name: str) -> str:
    plain_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain_text.lower() if letter.isalpha()) or "fan"


class Customers:
    """All customers by index. Those below `active` have signed up."""

    def __init__(self, seed: int, world: str, count: int, active: int, first_day: int, spend_a_day: float) -> None:
        def draw(name: str) -> Floats:
            return stream(seed, "customers", name).random(count)

        self.count, self.active = count, active
        self.ids = ids(f"C-{world}-", count, 6)
        self.id_text = pl.concat(
            [join([',"customer_id":"', self.ids, '"'], count), strings([""])]
        )  # the last entry is a guest
        self.city = Odds([city[2] for city in _CITIES]).pick(draw("city"))
        stores, theaters = places().store_cities, sorted(set(places().theater_cities))
        self.store_of_city = np.array([stores.index(city[3]) for city in _CITIES])
        self.cinema_of_city = np.array([theaters.index(city[4]) for city in _CITIES])
        habit = draw("habit")  # both, shop only, cinema only
        pareto = (1.0 - draw("shop") * 0.9995) ** (-1 / 1.7)
        self.shop_weight = np.where(habit < 0.80, pareto, 0.0)
        self.cinema_weight = np.where(
            (habit < 0.36) | (habit >= 0.80), (1.0 - draw("cinema") * 0.999) ** (-1 / 2.0), 0.0
        )
        self.prefers = Odds((0.50, 0.27, 0.23)).pick(draw("channel"))
        genres = Odds(names.GENRE_WEIGHTS)
        first, second, third = (genres.pick(draw(f"genre{place}")) for place in range(3))
        second = np.where(second == first, (second + 4) % len(names.GENRES), second)
        third = np.where((third == first) | (third == second), (first + second + 1) % len(names.GENRES), third)
        self.genres = np.stack([first, second, third])
        self.opt_in = draw("opt_in") < 0.55
        self.gone = np.zeros(count, np.bool_)
        self.signup = np.where(
            np.arange(count) < active, first_day - 20 - (draw("signup") * 1_500).astype(np.int64), first_day
        )
        # Spend decays by 1.5 % a day. The level it converges to determines the tier.
        self._level = spend_a_day / 0.015
        weight = self.shop_weight / self.shop_weight.sum() + 0.35 * self.cinema_weight / self.cinema_weight.sum()
        self.spend = self._level / 1.35 * weight * (0.5 + draw("luck"))
        self._steps = self._level / 1.35 * weight.mean() * np.array([0.9, 2.0, 4.2])
        self.tier = np.searchsorted(self._steps, self.spend)
        self._queue: list[int] = []
        self._deletes = 0.0
        self._text = self._fixed_text(seed, first_day, draw)
        self._genre_text = quoted(names.GENRES)
        self._city_text = strings(f',"city":"{city[0]}","country":"{city[1]}","loyalty_tier":"' for city in _CITIES)
        self.update_odds()

    def _fixed_text(self, seed: int, first_day: int, draw: Callable[[str], Floats]) -> pl.Series:
        pools = names.people(seed)
        order = {country: place for place, country in enumerate(pools)}
        pool = np.array([order[city[1]] for city in _CITIES])[self.city] * names.POOL
        first = [name for firsts, _ in pools.values() for name in firsts]
        last = [name for _, lasts in pools.values() for name in lasts]
        first_at = pool + (draw("first") * names.POOL).astype(np.int64)
        last_at = pool + (draw("last") * names.POOL).astype(np.int64)

        def escaped(texts: list[str]) -> pl.Series:
            return quoted(texts).str.slice(1).str.strip_suffix('"')

        born = dates(first_day - 365 * 14 - (draw("born") ** 1.4 * 365 * 45).astype(np.int64))
        birth_date = strings(('","birth_date":"', ""))[(draw("told") < 0.12).astype(np.int64)]
        born = born.zip_with(pl.Series(values=birth_date != ""), strings([""]).new_from_index(0, self.count))
        return join(
            [
                '"customer_id":"', self.ids, '","name":"', escaped(first)[first_at], " ",
                escaped(last)[last_at], '","email":"', strings(map(_ascii, first))[first_at], ".",
                strings(map(_ascii, last))[last_at], whole(np.arange(1, self.count + 1)), "@",
                strings(("example.com", "example.org", "example.net"))[(draw("mail") * 3).astype(np.int64)],
                birth_date, born, '","signup_date":"',
            ],
            self.count,
        )  # fmt: skip

    def update_odds(self) -> None:
        """Recompute the odds of all buyers: customers who have signed up and not left."""
        buys = (np.arange(self.count) < self.active) & ~self.gone
        self.shoppers = [
            Odds(np.where(buys, self.shop_weight * np.where(self.prefers == channel, 1.0, 0.12), 0.0))
            for channel in range(3)
        ]
        self.filmgoers = Odds(np.where(buys, self.cinema_weight, 0.0))
        self._alive = np.flatnonzero(buys)

    def add_spend(self, customers: Ints, cents: Ints) -> None:
        """Add these amounts to the customers' spend; -1 is a guest."""
        known = customers >= 0
        self.spend += np.bincount(customers[known], weights=cents[known] / 100.0, minlength=self.count)

    def opening(self, begin: int, step: float, tag: Ids) -> Draft:
        """Return the profiles of all customers who signed up before the start."""
        chosen = np.arange(self.active)
        return self._rows(chosen, begin + (step * chosen).astype(np.int64), np.zeros(self.active, np.bool_), tag)

    def changes(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return `count` changes: deletions, sign-ups, tiers, moves, tastes, and unchanged profiles sent again."""
        if window.opens_day:
            self.spend *= 0.985
            self._review_tiers()
        self._deletes += 0.004 * count
        leaving = self._pick(random, int(self._deletes)) if len(self._alive) > 50 else self._alive[:0]
        leaving = np.unique(leaving)
        self._deletes -= int(self._deletes)
        self.gone[leaving] = True
        self.update_odds()
        new = np.arange(self.active, min(self.active + round(0.22 * count), self.count))
        self.signup[new] = window.day
        promoted = np.array(self._queue[: int(0.5 * count)], np.int64)
        del self._queue[: len(promoted)]
        promoted = promoted[~self.gone[promoted]]
        self.tier[promoted] = self._target_tiers()[promoted]
        rest = max(count - len(leaving) - len(new) - len(promoted), 0) if len(self._alive) else 0
        others = self._pick(random, rest)
        kind = random.random(rest)
        moved, retuned = others[kind < 0.12], others[(kind >= 0.12) & (kind < 0.40)]
        self.city[moved] = Odds([city[2] for city in _CITIES]).pick(random.random(len(moved)))
        self.opt_in[retuned] ^= True
        turned = retuned[: len(retuned) // 2]
        self.genres[:, turned] = self.genres[:, turned][[1, 0, 2]]
        chosen = np.concatenate([leaving, new, promoted, others])
        self.tier[new] = 0
        self.spend[new] = 0.0
        order = random.permutation(len(chosen))
        gone = np.repeat([True, False], [len(leaving), len(chosen) - len(leaving)])
        self.active += len(new)
        if not len(chosen):
            return None
        times = np.sort(window.times("online", random.random(len(chosen))))
        return self._rows(chosen[order], times, gone[order], tag)

    def _pick(self, random: np.random.Generator, count: int) -> Ints:
        alive = self._alive[~self.gone[self._alive]]
        return alive[(random.random(count) * len(alive)).astype(np.int64)]

    def _target_tiers(self) -> Ints:
        up = np.searchsorted(self._steps, self.spend)
        down = np.searchsorted(self._steps * 0.7, self.spend)  # a tier is kept until spend is 30 % below its threshold
        target: Ints = np.where(up > self.tier, up, np.minimum(down, self.tier))
        return target

    def _review_tiers(self) -> None:
        changed = np.flatnonzero(
            (self._target_tiers() != self.tier) & ~self.gone & (np.arange(self.count) < self.active)
        )
        self._queue = changed.tolist()

    def _rows(self, chosen: Ints, times: Ints, gone: np.ndarray, tag: Ids) -> Draft:
        count = len(chosen)
        keys = self.ids[chosen]
        genres = [self._genre_text[self.genres[place][chosen]] for place in range(3)]
        rest = join(
            [
                self._text[chosen], dates(self.signup[chosen]), '"', self._city_text[self.city[chosen]],
                TIERS[self.tier[chosen]], '","preferred_genres":[', genres[0], ",", genres[1], ",", genres[2],
                '],"marketing_opt_in":', strings(("false", "true"))[self.opt_in[chosen].astype(np.int64)], "}",
            ],
            count,
        )  # fmt: skip
        if gone.any():
            rest = rest.zip_with(pl.Series(values=~gone), join(['"customer_id":"', keys, '"}'], count))
        types = strings(("upsert", "delete"))[gone.astype(np.int64)]
        numbers = whole(tag.take("u", count))
        return draft_of(
            "customer-profiles", join([f"u-{tag.tag}-", numbers], count), types, times, keys, rest, caused=True
        )
