"""Bookings and cancellations of seats (`cinema-sales`)."""

import numpy as np
import polars as pl

from producers.customers import Customers
from producers.draft import Draft, DueQueue, Ids
from producers.randomness import Ints, Odds, first_come, free_units
from producers.screenings import Screenings
from producers.seasons import Window, calendar_day, cinema_factor
from producers.shop import Purchases
from producers.text import DAY, HOUR, MINUTE, join, money, quoted, strings, whole
from producers.titles import ADVANCE_DAYS

CHANNELS = ("box_office", "online", "mobile")
SHARE_OF_CHANNEL = (0.42, 0.33, 0.25)
MEAN_SEATS = 2.35
CANCELLED_SHARE = 0.045
_SEATS = Odds((0.24, 0.45, 0.14, 0.11, 0.04, 0.02))
_TYPES = ("standard", "premium", "vip", "4dx", "child", "complimentary")
_TYPE_ODDS = Odds((0.58, 0.16, 0.04, 0.08, 0.12, 0.02))
_PRICES = np.array([1150, 1450, 2200, 1790, 790, 0])
# Odds of the days from booking to show, at the box office and elsewhere, before weighting by weekday.
_AHEAD = ((0.90, 0.06, 0.04), (0.34, 0.20, 0.14, 0.10, 0.07, 0.05, 0.04, 0.03, 0.02, 0.01))
_GUESTS = np.array([0.42, 0.10, 0.04])
_PAYMENTS = ("card", "cash", "mobile_pay", "paypal")
_PAYMENT_ODDS = np.cumsum([(0.50, 0.34, 0.16, 0), (0.55, 0, 0.05, 0.40), (0.20, 0, 0.52, 0.28)], axis=1)
_ROUNDS = 5


class Cinema:
    """Sells the requested number of seats in each window while there are free seats."""

    def __init__(self, customers: Customers, screenings: Screenings) -> None:
        self.customers, self.screenings = customers, screenings
        self._cancellations = DueQueue()
        self.purchases: Purchases | None = None

    def sell(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return `count` bookings and cancellations. Cancelled seats can be sold from the next window on."""
        self.purchases = None
        due = self._cancellations.take(window.end)
        if count <= 0:
            return None
        if due is not None:
            due = due.filter(pl.col("due_at") >= window.begin).head(count // 3)
        bookings = count - (0 if due is None else len(due))
        self.screenings.prepare(window, int(bookings * MEAN_SEATS) + 1, random)
        mass = np.array([share * window.mass(name) for share, name in zip(SHARE_OF_CHANNEL, CHANNELS, strict=True)])
        channel = Odds(mass).pick(random.random(bookings))
        time = np.empty(bookings, np.int64)
        for number, name in enumerate(CHANNELS):
            at = np.flatnonzero(channel == number)
            time[at] = window.times(name, random.random(len(at)))
        order = np.argsort(time, kind="stable")
        channel, time = channel[order], time[order]
        customer = np.full(bookings, -1)
        named = np.flatnonzero(random.random(bookings) >= _GUESTS[channel])
        if self.customers.filmgoers.total > 0:
            customer[named] = self.customers.filmgoers.pick(random.random(len(named)))
        seats = _SEATS.pick(random.random(bookings)) + 1
        row = self._reserve(window, channel, time, customer, seats, random)
        if (row < 0).any():  # no hall has a free seat
            sold = row >= 0
            row, channel, time, customer, seats = row[sold], channel[sold], time[sold], customer[sold], seats[sold]
        columns = self.screenings.columns
        start, title = columns["start"][row], columns["title"][row]
        kind = _TYPE_ODDS.pick(random.random(len(row)))
        weekday = (start // DAY + 3) % 7  # Monday is 0
        extra = np.select([weekday == 1, weekday >= 4], [-250, 100], 0)
        price = np.where(_PRICES[kind] == 0, 0, _PRICES[kind] + extra)
        with_snacks = random.random(len(row)) < 0.58
        snacks = np.where(with_snacks, seats * (350 + (random.random(len(row)) * 85).astype(np.int64) * 10), 0)
        payment = np.minimum(
            (random.random(len(row))[:, None] >= _PAYMENT_ODDS[channel]).sum(axis=1), len(_PAYMENTS) - 1
        )
        frame = pl.DataFrame(
            {
                "due_at": time, "booking": tag.take("B", len(row)), "customer": customer,
                "screening": columns["number"][row],
                "text": self.screenings.text[row], "kind": kind, "seats": seats, "price": price, "snacks": snacks,
                "channel": channel, "payment": payment,
            }
        )  # fmt: skip
        self._plan_cancellations(window, frame, start, random)
        known = customer >= 0
        self.customers.add_spend(customer, seats * price + snacks)
        self.purchases = Purchases(customer[known], title[known], start[known])
        if due is None or not len(due):
            return self._draft(frame, len(frame), tag)
        self.screenings.give_back(due["screening"].to_numpy(), due["seats"].to_numpy())
        self.customers.add_spend(due["customer"].to_numpy(), -(due["seats"] * due["price"] + due["snacks"]).to_numpy())
        return self._draft(pl.concat([frame, due]), len(frame), tag)

    def _reserve(
        self, window: Window, channel: Ints, time: Ints, customer: Ints, seats: Ints, random: np.random.Generator
    ) -> Ints:
        """Reserve seats and return the row of each booking's screening; -1 if there is no free seat."""
        screenings = self.screenings
        start, left = screenings.columns["start"], screenings.columns["left"]
        cities = len(screenings.cities)
        home = self.customers.cinema_of_city[np.where(customer >= 0, self.customers.city[customer], 0)]
        anywhere = (random.random(len(time)) * cities).astype(np.int64)
        city = np.where((customer < 0) | (random.random(len(time)) < 0.05), anywhere, home)
        chance = random.random(len(time))
        box_office, elsewhere = (
            Odds([share * cinema_factor(calendar_day(window.day + days)) for days, share in enumerate(shares)])
            for shares in _AHEAD
        )
        ahead = np.where(channel == 0, box_office.pick(chance), elsewhere.pick(chance))
        row = np.full(len(time), -1)
        waiting = np.arange(len(time))
        for attempt in range(_ROUNDS):
            odds = screenings.odds(window.day)
            group = city[waiting] * (ADVANCE_DAYS + 1) + np.minimum(ahead[waiting] + attempt, ADVANCE_DAYS)
            first, second = odds.pick(group, random.random(len(waiting))), odds.pick(group, random.random(len(waiting)))
            better = self._matches_taste(customer[waiting], second) & ~self._matches_taste(customer[waiting], first)
            pick = np.where(better, second, first)
            at = np.flatnonzero((pick >= 0) & (start[pick] > time[waiting] + 5 * MINUTE))
            served = at[first_come(pick[at], seats[waiting[at]], left)]
            row[waiting[served]] = pick[served]
            np.subtract.at(left, pick[served], seats[waiting[served]])
            waiting = np.delete(waiting, served)
            if not len(waiting):
                return row
        # Their preferred screenings are full: one seat in any screening.
        rest = free_units(np.where(start > window.end + 5 * MINUTE, left, 0), len(waiting))
        row[waiting[: len(rest)]] = rest
        seats[waiting] = 1
        np.subtract.at(left, rest, 1)
        return row

    def _matches_taste(self, customer: Ints, row: Ints) -> np.ndarray:
        genre = self.screenings.titles.genre[self.screenings.columns["title"][row]]
        return np.asarray((customer >= 0) & (self.customers.genres[:, customer] == genre).any(axis=0))

    def _plan_cancellations(
        self, window: Window, frame: pl.DataFrame, start: Ints, random: np.random.Generator
    ) -> None:
        time = frame["due_at"].to_numpy()
        due = time + ((start - 30 * MINUTE - time) * random.random(len(time))).astype(np.int64)
        off = (random.random(len(time)) < CANCELLED_SHARE * 1.7) & (due >= window.end) & (due > time + HOUR // 4)
        self._cancellations.add(frame.with_columns(due_at=pl.Series(values=due)).filter(pl.Series(values=off)))

    def _draft(self, frame: pl.DataFrame, bookings: int, tag: Ids) -> Draft:
        count = len(frame)
        off = np.arange(count) >= bookings
        customer, seats, price, snacks, kind, channel, payment = (
            frame[name].to_numpy() for name in ("customer", "seats", "price", "snacks", "kind", "channel", "payment")
        )
        keys = join([f"BK-{tag.tag}-", whole(frame["booking"].to_numpy())], count)
        snack_text = join([',"concession_amount":', money(snacks)], count).zip_with(
            pl.Series(values=snacks > 0), strings([""]).new_from_index(0, count)
        )
        rest = join(
            [
                '"booking_id":"', keys, '"',
                self.customers.id_text[np.where(customer >= 0, customer, self.customers.count)],
                ",", frame["text"], strings(_TYPES)[kind], '","seats_booked":', whole(seats), ',"ticket_price":',
                money(price), snack_text, ',"channel":', quoted(CHANNELS)[channel], ',"payment_method":',
                quoted(_PAYMENTS)[payment], "}",
            ],
            count,
        )  # fmt: skip
        sign = np.where(off, -1, 1)
        return Draft(
            topic="cinema-sales",
            event_id=join([f"b-{tag.tag}-", whole(tag.take("b", count))], count),
            event_type=strings(("booking", "cancellation"))[off.astype(np.int64)],
            event_time=frame["due_at"].to_numpy(),
            key=keys,
            rest=rest,
            caused=off,
            amount=sign * seats * price,
            units=sign * seats,
            extra=sign * snacks,
        )
