"""Sales with product affinities, discounts and guests, and returns that refer to their sale (`pos-transactions`)."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from producers import names
from producers.customers import CHANNELS, Customers
from producers.draft import Draft, DueQueue, Ids
from producers.places import places
from producers.products import Products
from producers.randomness import Bools, Floats, GroupedOdds, Ints, Odds, first_come, free_units
from producers.receipts import MOST_LINES, PAYMENTS, Lines, ReceiptBuilder, Receipts
from producers.seasons import Window, calendar_day, store_hours
from producers.text import DAY

SHARE_OF_CHANNEL = (0.55, 0.27, 0.18)  # store, online, mobile
LINES = (0.46, 0.27, 0.15, 0.08, 0.04)
MEAN_UNITS = 2.4  # a sale
RETURN_SHARE = 0.05
_QUANTITY = Odds((0.86, 0.105, 0.025, 0.007, 0.002, 0.001))
_DISCOUNTS = np.array([0, 5, 10, 15, 20, 30])
_PAYMENT_ODDS = np.cumsum([(0.55, 0.24, 0.21, 0, 0), (0.42, 0, 0, 0.40, 0.18), (0.22, 0, 0.50, 0.28, 0)], axis=1)
_GUESTS = np.array([0.30, 0.12, 0.04])


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases of identified customers, for reviews: customer, subject, earliest time of a review."""

    customer: Ints
    subject: Ints
    since: Ints


class Shop:
    """Sells the requested number of baskets in each window while there is stock."""

    def __init__(self, customers: Customers, products: Products) -> None:
        self.customers, self.products = customers, products
        self._builder = ReceiptBuilder(customers, products)
        self._returns = DueQueue()
        self.purchases: Purchases | None = None

    def sell(self, window: Window, count: int, on_hand: Ints, random: np.random.Generator, ids: Ids) -> Draft | None:
        """Return `count` sales and due returns. Updates `on_hand`: sold units leave, returned units come back."""
        self.purchases = None
        due = self._returns.take(window.end)
        if count <= 0:
            return None
        if due is not None:
            due = due.filter(pl.col("due_at") >= window.begin).head(count // 2)
        receipts = self._sales(window, count - (0 if due is None else len(due)), on_hand, random, ids)
        lines = receipts.lines
        np.subtract.at(on_hand, lines.product, lines.quantity)
        self.customers.add_spend(receipts.customer, lines.sums(lines.net, len(receipts)))
        customer = receipts.customer[lines.receipt]
        known = customer >= 0
        self.purchases = Purchases(customer[known], lines.product[known], receipts.time[lines.receipt][known])
        self._plan_returns(receipts, random)
        if due is not None:
            back = _returned(due, ids)
            np.add.at(on_hand, back.lines.product, back.lines.quantity)
            self.customers.add_spend(back.customer, -back.lines.net)
            receipts = receipts.concat(back)
        return self._builder.draft(receipts, ids.tag)

    def _sales(self, window: Window, count: int, on_hand: Ints, random: np.random.Generator, ids: Ids) -> Receipts:
        mass = [share * window.mass(name) for share, name in zip(SHARE_OF_CHANNEL, CHANNELS, strict=True)]
        channel = Odds(mass).pick(random.random(count))
        time = np.empty(count, np.int64)
        for number, name in enumerate(CHANNELS):
            at = np.flatnonzero(channel == number)
            time[at] = window.times(name, random.random(len(at)))
        order = np.argsort(time, kind="stable")
        channel, time = channel[order], time[order]
        customer, store = self._parties(channel, random)
        lines = self._baskets(window, customer, time, on_hand, random)
        payment = (random.random(count)[:, None] >= _PAYMENT_ODDS[channel]).sum(axis=1)
        payment = np.minimum(payment, len(PAYMENTS) - 1)
        numbers = ids.take("T", count)
        receipts = Receipts(numbers, np.zeros(count, np.int64), channel, customer, store, payment, time, lines)
        filled = np.zeros(count, np.bool_)
        filled[lines.receipt] = True
        return receipts if filled.all() else receipts.select(filled)  # nothing is left in stock

    def _parties(self, channel: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
        """Return the customer (-1: guest) and the store (-1: none) of each sale."""
        customer = np.full(len(channel), -1)
        chance = random.random(len(channel))
        named = random.random(len(channel)) >= _GUESTS[channel]
        for number, odds in enumerate(self.customers.shoppers):
            at = np.flatnonzero(named & (channel == number))
            if odds.total > 0:
                customer[at] = odds.pick(chance[at])
        city = np.where(customer >= 0, self.customers.city[customer], 0)
        anywhere = (random.random(len(channel)) * len(places().store_ids)).astype(np.int64)
        home = self.customers.store_of_city[city]
        away = (customer < 0) | (random.random(len(channel)) < 0.06)
        return customer, np.where(channel == 0, np.where(away, anywhere, home), -1)

    def _baskets(self, window: Window, customer: Ints, time: Ints, on_hand: Ints, random: np.random.Generator) -> Lines:
        """Return the lines of all baskets. Only units in stock at the start of the window are sold."""
        sales = len(customer)
        odds = self.products.odds(window.day, on_hand)
        wanted = Odds(LINES).pick(random.random(sales)) + 1
        basket = np.full((sales, MOST_LINES), -1)
        for place in range(MOST_LINES):
            at = np.flatnonzero(wanted > place)
            pick = self._choose(odds, customer[at], random)
            if place:
                before = basket[at, place - 1]
                goes_with = (random.random(len(at)) < 0.36) & (before >= 0)
                pick = np.where(goes_with, self.products.companion[before], pick)
                buyable = (self.products.known & ~self.products.gone)[pick]
                pick = np.where(buyable & (pick >= 0) & ~(basket[at, :place] == pick[:, None]).any(axis=1), pick, -1)
            basket[at, place] = pick
        sale, column = np.nonzero(basket >= 0)
        product = basket[sale, column]
        quantity = _QUANTITY.pick(random.random(len(product))) + 1
        served = first_come(product, quantity, on_hand)
        sale, product, quantity = sale[served], product[served], quantity[served]
        empty: Bools = np.ones(sales, np.bool_)
        empty[sale] = False
        if empty.any():  # everything they chose is sold out: one unit of a well-stocked product
            left = on_hand - np.bincount(product, weights=quantity, minlength=len(on_hand)).astype(np.int64)
            instead = free_units(np.where(self.products.known & ~self.products.gone, left, 0), int(empty.sum()))
            sale = np.concatenate([sale, np.flatnonzero(empty)[: len(instead)]])
            product = np.concatenate([product, instead])
            quantity = np.concatenate([quantity, np.ones(len(instead), np.int64)])
            order = np.argsort(sale, kind="stable")
            sale, product, quantity = sale[order], product[order], quantity[order]
        price = self.products.price_at(product, time[sale])
        kind = random.random(len(sale))
        percent = _DISCOUNTS[np.where(kind < 0.20, 1 + (kind * 25).astype(np.int64), 0)]
        percent = np.where(self.products.ended[product], 30, percent)
        return Lines(sale, product, quantity, price, quantity * price * percent // 100)

    def _choose(self, odds: GroupedOdds, customer: Ints, random: np.random.Generator) -> Ints:
        """Return a product for each customer, mostly of a preferred genre; -1 if nothing is in stock."""
        taste = random.random(len(customer))
        place = np.searchsorted((0.50, 0.74, 0.86), taste, side="right")
        genres = len(names.GENRES)
        liked = self.customers.genres[np.minimum(place, 2), np.maximum(customer, 0)]
        group = np.where((customer >= 0) & (place < 3), liked, genres)
        chance: Floats = random.random(len(customer))
        pick = odds.pick(group, chance)
        pick = np.where(pick >= 0, pick, odds.pick(np.full(len(customer), genres), chance))
        return np.where(pick >= 0, pick % self.products.count, -1)  # `Products.odds` contains every product twice

    def _plan_returns(self, receipts: Receipts, random: np.random.Generator) -> None:
        """Schedule returns of one line of some receipts, on a later day during opening hours."""
        lines = receipts.lines
        comes_back = np.flatnonzero(random.random(len(receipts)) < RETURN_SHARE)
        if not len(comes_back):
            return
        first = lines.first
        size = np.diff(np.append(first, len(lines.receipt)))[comes_back]
        line = first[comes_back] + (random.random(len(size)) * size).astype(np.int64)
        day = (
            receipts.time[comes_back] // DAY + 1 + (-np.log1p(-random.random(len(size)) * 0.99) * 5.0).astype(np.int64)
        )
        chance = random.random(len(size))
        due = day * DAY + (chance * DAY).astype(np.int64)
        at_store = np.flatnonzero(receipts.channel[comes_back] == 0)
        for number in np.unique(day[at_store]).tolist():
            at = at_store[day[at_store] == number]
            opening = number
            while store_hours(calendar_day(opening)).mass(0, DAY) <= 0:
                opening += 1
            due[at] = opening * DAY + store_hours(calendar_day(opening)).times(chance[at], 0, DAY)
        columns = {
            name: getattr(receipts, name)[comes_back] for name in ("number", "channel", "customer", "store", "payment")
        }
        columns |= {name: getattr(lines, name)[line] for name in ("product", "quantity", "price", "discount")}
        self._returns.add(pl.DataFrame({"due_at": due, **columns}))


def _returned(due: pl.DataFrame, ids: Ids) -> Receipts:
    """Return the receipts of these returns, one line each."""
    old = {name: due[name].to_numpy() for name in due.columns}
    lines = Lines(np.arange(len(due)), old["product"], old["quantity"], old["price"], old["discount"])
    number = ids.take("T", len(due))
    parties = (old["channel"], old["customer"], old["store"], old["payment"])
    return Receipts(number, old["number"], *parties, old["due_at"], lines)
