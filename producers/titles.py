"""Anime titles, their cinema runs and changes to them (`anime-schedule`)."""

import numpy as np
import polars as pl

from producers import names
from producers.draft import Draft, Ids, draft_of
from producers.randomness import Floats, Ints, Odds, stream
from producers.seasons import Window
from producers.text import dates, ids, join, quoted, strings, whole

ADVANCE_DAYS = 10  # how many days ahead seats are sold
_STATUS = strings(("announced", "showing", "ended"))
_NOT_YET = -1


class Titles:
    """All titles by index. Dates are days since 1970. A title without a cinema run has a run in the distant past."""

    def __init__(self, seed: int, world: str, count: int, first_day: int, days: int) -> None:
        def draw(name: str) -> Floats:
            return stream(seed, "titles", name).random(count)

        self.count = count
        self.ids = ids(f"T-{world}-", count, 4)
        genres = Odds(names.GENRE_WEIGHTS)
        self.genre = genres.pick(draw("genre"))
        second = genres.pick(draw("second"))
        self.second = np.where(second == self.genre, (second + 5) % len(names.GENRES), second)
        self.popularity = (np.argsort(np.argsort(draw("rank"))) + 4.0) ** -0.75
        self.quality = 2.9 + 1.7 * draw("quality")  # mean rating
        run_chance = draw("run")
        in_cinemas = run_chance < 0.45
        start = first_day - 110 + (draw("start") * (days + 160)).astype(np.int64)
        self.run_start = np.where(
            in_cinemas, start - (start - first_day) % 7, first_day - 400 - (run_chance * 3000).astype(int)
        )
        self.run_end = self.run_start + 21 + 7 * (draw("length") * 5).astype(np.int64)
        # One film runs all the time, so every day has a screening.
        self.run_start[0], self.run_end[0] = first_day - 7, first_day + days + 60
        self.known_from = np.maximum(first_day, self.run_start - 45)
        self.known_from[self.run_start <= first_day + 14] = first_day
        self.status = np.full(count, _NOT_YET)
        self.gone = np.zeros(count, np.bool_)
        self._queue: list[int] = []
        quoted_genres = quoted(names.GENRES)
        self._text = join(
            [
                '"title_id":"', self.ids, '","title":', quoted(names.titles(seed, count)), ',"genres":[',
                quoted_genres[self.genre], ",", quoted_genres[self.second], '],"studio":',
                quoted(names.STUDIOS)[(draw("studio") * len(names.STUDIOS)).astype(np.int64)], ',"age_rating":',
                quoted(names.AGE_RATINGS)[(draw("age") * len(names.AGE_RATINGS)).astype(np.int64)],
                ',"runtime_minutes":', whole(84 + (draw("runtime") * 60).astype(np.int64)), ',"release_date":"',
            ],
            count,
        )  # fmt: skip

    def age(self, day: int) -> Ints:
        """Return the days since each run began; negative before."""
        return day - self.run_start

    def appeal(self, day: int) -> Floats:
        """Return the appeal of each film on that day; 0 if it is not showing."""
        showing = (self.run_start <= day) & (day <= self.run_end) & ~self.gone
        return np.where(showing, self.popularity * (0.12 + np.exp(-np.maximum(self.age(day), 0) / 12.0)), 0.0)

    def halo(self, day: int) -> Floats:
        """Return the factor by which each title's merchandise sells better around its run."""
        age = self.age(day)
        near = np.where(age >= 0, np.exp(-np.maximum(age, 0) / 14.0), np.exp(-np.maximum(-age, 0) / 5.0))
        return 1.0 + np.where(self.gone | (self.status == _NOT_YET), 0.0, 2.4 * near)

    def _due_status(self, day: int) -> Ints:
        status = np.where(day < self.run_start, 0, np.where(day <= self.run_end, 1, 2))
        return np.where(self.gone | (day < self.known_from), _NOT_YET, status)

    def opening(self, first_day: int, begin: int, step: int, tag: Ids) -> Draft:
        """Return the initial schedule."""
        self.status = self._due_status(first_day)
        chosen = np.flatnonzero(self.status != _NOT_YET)
        return self._upserts(chosen, begin + step * np.arange(len(chosen)), tag)

    def changes(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return about `count` changes: scheduled ones first, then unchanged entries sent again."""
        if window.opens_day:
            self._plan(window.day, random)
        scheduled = self._queue[: count + 1]
        del self._queue[: count + 1]
        known = np.flatnonzero(self.status != _NOT_YET)
        again = known[(random.random(max(count - len(scheduled), 0)) * len(known)).astype(np.int64)]
        chosen = np.concatenate([np.array(scheduled, np.int64), again])
        if not len(chosen):
            return None
        times = np.sort(window.times("office", random.random(len(chosen))))
        self.status = np.where(np.isin(np.arange(self.count), chosen), self._due_status(window.day), self.status)
        return self._upserts(chosen, times, tag)

    def _plan(self, day: int, random: np.random.Generator) -> None:
        chance = random.random((3, self.count))
        announced = (self.status == 0) & (self.run_start >= day + ADVANCE_DAYS + 8)
        called_off = announced & (chance[0] < 0.0008)
        called_off[0] = False
        moved = announced & ~called_off & (chance[0] < 0.008)
        shift = 7 * (1 + (chance[1] * 3).astype(np.int64))
        left = self.run_end - day
        held_over = (self.status == 1) & (left > ADVANCE_DAYS) & (left < ADVANCE_DAYS + 5) & (chance[2] < 0.06)
        self.run_start = np.where(moved, self.run_start + shift, self.run_start)
        self.run_end = np.where(moved, self.run_end + shift, np.where(held_over, self.run_end + 7, self.run_end))
        self.gone |= called_off
        turned = ~called_off & ~self.gone & (self.status != self._due_status(day))
        waiting = set(self._queue)
        self._queue += [
            int(title) for title in np.flatnonzero(called_off | moved | held_over | turned) if title not in waiting
        ]

    def _upserts(self, chosen: Ints, times: Ints, tag: Ids) -> Draft:
        count = len(chosen)
        start, end = self.run_start[chosen], self.run_end[chosen]
        keys = self.ids[chosen]
        rest = join(
            [
                self._text[chosen], dates(start), '","run_start":"', dates(start), '","run_end":"', dates(end),
                '","status":"', _STATUS[np.maximum(self.status[chosen], 0)], '"}',
            ],
            count,
        )  # fmt: skip
        gone = self.gone[chosen]
        if gone.any():
            rest = rest.zip_with(pl.Series(values=~gone), join(['"title_id":"', keys, '"}'], count))
        types = strings(("upsert", "delete"))[gone.astype(np.int64)]
        numbers = whole(tag.take("s", count))
        return draft_of(
            "anime-schedule", join([f"s-{tag.tag}-", numbers], count), types, times, keys, rest, caused=True
        )
