"""Demand over time: opening hours, weekdays, holidays, Christmas. Times are UTC; local time is UTC+1."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np

from producers.randomness import Floats, Ints
from producers.text import DAY, HOUR

LOCAL_HOURS = 1  # local time is UTC + 1 h all year, in all countries
_EPOCH = date(1970, 1, 1)

_SHOP_WEEK = (0.84, 0.86, 0.90, 0.96, 1.16, 1.48, 0.80)
_CINEMA_WEEK = (0.68, 1.02, 0.74, 0.88, 1.24, 1.62, 1.22)


def day_number(day: date) -> int:
    """Return the days since 1970-01-01."""
    return (day - _EPOCH).days


def calendar_day(number: int) -> date:
    """Return the date that many days after 1970-01-01."""
    return _EPOCH + timedelta(days=number)


def easter(year: int) -> date:
    """Return Easter Sunday (Gauss's algorithm as completed by Lichtenberg)."""
    a, k = year % 19, year // 100
    m = 15 + (3 * k + 3) // 4 - (8 * k + 13) // 25
    d = (19 * a + m) % 30
    r = (d + a // 11) // 29
    og = 21 + d - r
    sz = 7 - (year + year // 4 + 2 - (3 * k + 3) // 4) % 7
    return date(year, 3, 1) + timedelta(days=og + 7 - (og - sz) % 7 - 1)


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the days of a year on which stores are closed and cinemas are full."""
    fixed = {(1, 1), (5, 1), (12, 25), (12, 26)}
    moving = (-2, 1, 39, 50)  # Good Friday, Easter Monday, Ascension, Whit Monday
    return frozenset(date(year, *day) for day in fixed) | {easter(year) + timedelta(days=gap) for gap in moving}


def is_holiday(day: date) -> bool:
    """Return whether stores are closed."""
    return day in holidays(day.year)


def black_friday(year: int) -> date:
    """Return the day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


def shop_factor(day: date) -> float:
    """Return the shop's demand on this day, relative to an ordinary day."""
    factor = _SHOP_WEEK[day.weekday()]
    friday = black_friday(day.year)
    if friday <= day <= friday + timedelta(days=3):
        factor *= 2.1 if day == friday else 1.5
    if date(day.year, 11, 15) <= day <= date(day.year, 12, 23):
        factor *= 1.0 + 0.9 * (day - date(day.year, 11, 14)).days / 39
    elif day.month in (1, 7, 8):
        factor *= 0.93
    return factor * (0.45 if is_holiday(day) else 1.0)


def cinema_factor(day: date) -> float:
    """Return the cinema's demand on this day, relative to an ordinary day."""
    factor = _CINEMA_WEEK[day.weekday()]
    if is_holiday(day):
        factor = max(factor, 1.0) * 1.35
    if (day.month, day.day) in ((12, 24), (12, 31)):
        factor *= 0.35
    elif (day.month, day.day) > (12, 26) or (day.month, day.day) < (1, 7):
        factor *= 1.3
    elif day.month in (6, 7, 8):
        factor *= 0.88
    return factor


class Hours:
    """The distribution of one kind of event over the hours of a day."""

    def __init__(self, local: dict[int, float]) -> None:
        weights = np.zeros(24)
        for hour, weight in local.items():
            weights[(hour - LOCAL_HOURS) % 24] = weight
        total = weights.sum()
        self._mass = np.concatenate(([0.0], np.cumsum(weights) / (total if total else 1.0)))
        self._edges = np.arange(25, dtype=np.float64) * HOUR

    def mass(self, begin: int, end: int) -> float:
        """Return the share of the day's events between two times of day, in milliseconds after midnight UTC."""
        low, high = np.interp([begin, end], self._edges, self._mass)
        return float(high - low)

    def times(self, chances: Floats, begin: int, end: int) -> Ints:
        """Return a time of day between `begin` and `end` for each chance. Requires `mass(begin, end)` above 0."""
        low, high = np.interp([begin, end], self._edges, self._mass)
        open_ = np.flatnonzero(np.diff(self._mass) > 0)  # hours with events, to exclude closed ones
        aim = low + chances * (high - low)
        hour = open_[np.minimum(np.searchsorted(self._mass[open_ + 1], aim, side="right"), len(open_) - 1)]
        inside = (aim - self._mass[hour]) / (self._mass[hour + 1] - self._mass[hour])
        times = ((hour + np.clip(inside, 0.0, 1.0)) * HOUR).astype(np.int64)
        inside_window: Ints = np.clip(times, begin, end - 1)
        return inside_window


_WEEKDAY = Hours({10: 5, 11: 7, 12: 9, 13: 9, 14: 7, 15: 8, 16: 10, 17: 13, 18: 13, 19: 8})
_SATURDAY = Hours({10: 6, 11: 10, 12: 12, 13: 13, 14: 14, 15: 14, 16: 13, 17: 10, 18: 7, 19: 4})
_SUNDAY = Hours({12: 7, 13: 12, 14: 14, 15: 13, 16: 10, 17: 6})
_CLOSED = Hours({})
_BOX_OFFICE = Hours({10: 1, 11: 2, 12: 2, 13: 4, 14: 6, 15: 6, 16: 7, 17: 10, 18: 13, 19: 16, 20: 15, 21: 9, 22: 3})
_AWAKE = {0: 3, 1: 2, 2: 1, 3: 0.6, 4: 0.5, 5: 0.7, 6: 1.5, 7: 3, 8: 4, 9: 4.5, 10: 5, 11: 5, 12: 6, 13: 5.5}
_ONLINE = Hours({**_AWAKE, 14: 5, 15: 5, 16: 5.5, 17: 6, 18: 7, 19: 9, 20: 11, 21: 11.5, 22: 9, 23: 6})
_MOBILE = Hours({**_AWAKE, 7: 5, 8: 6, 14: 5, 15: 5.5, 16: 6, 17: 8, 18: 8, 19: 8, 20: 9, 21: 10, 22: 9, 23: 6})
_OFFICE = Hours({**dict.fromkeys(range(7, 20), 6.0), **dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 20, 21, 22, 23), 0.6)})


def store_hours(day: date) -> Hours:
    """Return the stores' hours: Monday to Saturday 10-20, Sunday 12-18 local time, closed on holidays."""
    if is_holiday(day):
        return _CLOSED
    return (_SUNDAY if day.weekday() == 6 else _SATURDAY) if day.weekday() >= 5 else _WEEKDAY


def hours(channel: str, day: date) -> Hours:
    """Return the hours of a sales channel (`store`, `box_office`, `online`, `mobile`) or of the `office`."""
    if channel == "store":
        return store_hours(day)
    return {"box_office": _BOX_OFFICE, "online": _ONLINE, "mobile": _MOBILE, "office": _OFFICE}[channel]


@dataclass(frozen=True, slots=True)
class Window:
    """A time range within one UTC day, in milliseconds since 1970; `end` is exclusive."""

    index: int
    begin: int
    end: int
    opens_day: bool  # the first window of its day, in which the daily jobs run

    @property
    def day(self) -> int:
        """Days since 1970."""
        return self.begin // DAY

    @property
    def date(self) -> date:
        """The UTC date."""
        return calendar_day(self.day)

    def mass(self, channel: str) -> float:
        """Return the share of the channel's daily events that falls into this window."""
        midnight = self.day * DAY
        return hours(channel, self.date).mass(self.begin - midnight, self.end - midnight)

    def times(self, channel: str, chances: Floats) -> Ints:
        """Return a time in this window for each chance, by the channel's hours; uniform if the channel is closed."""
        midnight = self.day * DAY
        begin, end = self.begin - midnight, self.end - midnight
        kind = hours(channel, self.date)
        if kind.mass(begin, end) <= 0:
            return self.begin + (chances * (self.end - self.begin)).astype(np.int64)
        return midnight + kind.times(chances, begin, end)
