"""Screenings and their free seats. A screening never sells more seats than its hall has."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from producers.draft import Ids
from producers.places import places
from producers.randomness import Floats, GroupedOdds, Ints, Odds
from producers.seasons import LOCAL_HOURS, Window
from producers.text import DAY, HOUR, MINUTE, clock, join, strings, whole
from producers.titles import ADVANCE_DAYS, Titles

# Start times (local hours) of a hall's shows, by number of shows. A higher load adds extra shows.
_SHOWS = ((20.0,), (17.5, 20.5), (15.0, 18.0, 21.0), (12.5, 15.5, 18.5, 21.5), (10.5, 13.5, 16.5, 19.5, 22.25))
_MOST_SHOWS = len(_SHOWS)
_USUAL_OCCUPANCY = 0.27
_COLUMNS = ("number", "hall", "title", "start", "left", "pull")


class Screenings:
    """Screenings that can be booked, ordered by number, as columns: hall, title, start, free seats, pull."""

    def __init__(self, titles: Titles, seats_a_day: float, ids: Ids) -> None:
        self.titles, self._ids, self._seats_a_day = titles, ids, seats_a_day
        seeds = places()
        self.cities = sorted(set(seeds.theater_cities))
        self.city_of_hall = np.array([self.cities.index(city) for city in seeds.theater_cities])
        self.seats_of_hall = np.array(seeds.theater_seats)
        self._hall_text = strings(f'","theater_id":"{hall}","screening_time":"' for hall in seeds.theater_ids)
        self._until = -1  # the last day with a programme
        self.columns: dict[str, Ints] = {name: np.zeros(0, np.int64) for name in _COLUMNS[:-1]}
        self.pull: Floats = np.zeros(0)
        self.text = strings([])

    def prepare(self, window: Window, seats_wanted: int, random: np.random.Generator) -> None:
        """Remove screenings that have begun, add the newly bookable days, and provide enough free seats."""
        self._keep(self.columns["start"] > window.begin)
        for day in range(max(self._until + 1, window.day), window.day + ADVANCE_DAYS + 1):
            self._programme(day, random)
        while self._open_seats(window) < 3 * seats_wanted:  # under a load test: more shows than halls could host
            self._extra(window, random)

    def _open_seats(self, window: Window) -> int:
        return int(self.columns["left"][self.columns["start"] > window.end].sum())

    def _programme(self, day: int, random: np.random.Generator) -> None:
        self._until = day
        halls = len(self.seats_of_hall)
        wanted = self._seats_a_day / (_USUAL_OCCUPANCY * self.seats_of_hall.mean())
        shows = int(np.clip(round(wanted), 1, halls * _MOST_SHOWS))
        each, more = divmod(shows, halls)
        order = (np.arange(halls) + day * 5) % halls
        at, which = [], []
        for place, hall in enumerate(order.tolist()):
            count = each + (place < more)
            for start in _SHOWS[count - 1] if count else ():
                at.append(start + (hall % 4) / 6 - LOCAL_HOURS)
                which.append(hall)
        starts = day * DAY + (np.array(at) * HOUR / (5 * MINUTE)).astype(np.int64) * 5 * MINUTE
        self._add(np.array(which, np.int64), starts, day, random)

    def _extra(self, window: Window, random: np.random.Generator) -> None:
        halls = np.arange(len(self.seats_of_hall))
        day = window.day + 1 + int(random.random() * ADVANCE_DAYS)
        starts = day * DAY + ((10 + 12 * random.random(len(halls))) * 12).astype(np.int64) * 5 * MINUTE
        self._add(halls, starts, day, random)

    def _add(self, halls: Ints, starts: Ints, day: int, random: np.random.Generator) -> None:
        appeal = self.titles.appeal(day)
        title = Odds(appeal).pick(random.random(len(halls)))
        local = (starts % DAY) / HOUR + LOCAL_HOURS
        hour = np.select([local < 13, local < 16.5, local < 18, local < 21.4], [0.3, 0.6, 1.0, 1.7], 0.7)
        number = self._ids.take("SC", len(halls))
        fresh: dict[str, Ints] = {
            "number": number, "hall": halls, "title": title, "start": starts, "left": self.seats_of_hall[halls].copy(),
        }  # fmt: skip
        self.columns = {name: np.concatenate([column, fresh[name]]) for name, column in self.columns.items()}
        self.pull = np.concatenate([self.pull, np.sqrt(appeal[title]) * hour * self.seats_of_hall[halls] ** 0.35])
        text = join(
            [
                f'"screening_id":"SC-{self._ids.tag}-', whole(number), '","title_id":"', self.titles.ids[title],
                self._hall_text[halls], *_minutes(starts), '","ticket_type":"',
            ],
            len(halls),
        )  # fmt: skip
        self.text = pl.concat([self.text, text])

    def _keep(self, which: np.ndarray) -> None:
        if not which.all():
            self.columns = {name: column[which] for name, column in self.columns.items()}
            self.pull = self.pull[which]
            self.text = self.text.filter(pl.Series(values=which))

    def odds(self, day: int) -> GroupedOdds:
        """Return the odds of screenings with free seats, grouped by city * (ADVANCE_DAYS + 1) + days ahead."""
        ahead = np.clip(self.columns["start"] // DAY - day, 0, ADVANCE_DAYS)
        group = self.city_of_hall[self.columns["hall"]] * (ADVANCE_DAYS + 1) + ahead
        return GroupedOdds(
            group, np.where(self.columns["left"] > 0, self.pull, 0.0), len(self.cities) * (ADVANCE_DAYS + 1)
        )

    def give_back(self, numbers: Ints, seats: Ints) -> None:
        """Free the seats of cancelled bookings. Screenings that have been removed are ignored."""
        at = np.searchsorted(self.columns["number"], numbers)
        at = np.minimum(at, len(self.columns["number"]) - 1)
        there = self.columns["number"][at] == numbers
        np.add.at(self.columns["left"], at[there], seats[there])


def _minutes(times: Ints) -> Iterable[pl.Series]:
    """Return RFC 3339 times without fractions, as in a schedule."""
    day, second, _ = clock(times)
    return [day, second, strings(["Z"]).new_from_index(0, len(times))]
