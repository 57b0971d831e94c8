"""The till: baskets with affinities, discounts, guests, and returns that point to their sale (`pos-transactions`)."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from producers import names
from producers.chance import Bools, Floats, GroupedOdds, Ints, Odds, first_come, free_units
from producers.customers import CHANNELS, Customers
from producers.draft import Draft, Due, Ids
from producers.places import places
from producers.products import Products
from producers.seasons import Window, calendar_day, store_hours
from producers.text import DAY, ids, join, money, quoted, strings, whole

SHARE_OF_CHANNEL = (0.55, 0.27, 0.18)  # store, online, mobile
LINES = (0.46, 0.27, 0.15, 0.08, 0.04)
MEAN_UNITS = 2.4  # a sale
RETURN_SHARE = 0.05
_QUANTITY = Odds((0.86, 0.105, 0.025, 0.007, 0.002, 0.001))
_DISCOUNTS = np.array([0, 5, 10, 15, 20, 30])
_PAYMENTS = ("card", "cash", "mobile_pay", "paypal", "klarna")
_PAYMENT_ODDS = np.cumsum([(0.55, 0.24, 0.21, 0, 0), (0.42, 0, 0, 0.40, 0.18), (0.22, 0, 0.50, 0.28, 0)], axis=1)
_GUESTS = np.array([0.30, 0.12, 0.04])


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of receipts; `sale` is the row of the receipt, in order."""

    sale: Ints
    product: Ints
    quantity: Ints
    price: Ints
    discount: Ints


@dataclass(frozen=True, slots=True)
class Purchases:
    """What identified customers bought, for reviews: customer, subject, when they can have an opinion."""

    customer: Ints
    subject: Ints
    since: Ints


class Shop:
    """Sells in each window as many baskets as asked, as long as there is stock."""

    def __init__(self, customers: Customers, products: Products, world: str) -> None:
        self.customers, self.products = customers, products
        self._returns = Due()
        self._product_text = join([',"product_id":"', products.ids, '","quantity":'], products.count)
        self._store_text = strings([*(f',"store_id":"{store}"' for store in places().store_ids), ""])
        self._numbers = strings(f'{{"line_number":{number}' for number in range(1, len(LINES) + 1))
        self.purchases: Purchases | None = None

    def sell(self, window: Window, count: int, on_hand: Ints, random: np.random.Generator, tag: Ids) -> Draft | None:
        """`count` events, returns that are due among them. `on_hand` changes: sold at once, returned units come back."""
        self.purchases = None
        due = self._returns.take(window.end)
        back = None if due is None else due.filter(pl.col("due_at") >= window.begin).head(count // 2)
        returned = 0 if back is None else len(back)
        sales = count - returned
        if count <= 0:
            return None
        channel_mass = np.array([share * window.mass(name) for share, name in zip(SHARE_OF_CHANNEL, CHANNELS, strict=True)])
        channel = Odds(channel_mass).pick(random.random(sales))
        time = np.empty(sales, np.int64)
        for number, name in enumerate(CHANNELS):
            at = np.flatnonzero(channel == number)
            time[at] = window.times(name, random.random(len(at)))
        order = np.argsort(time, kind="stable")
        channel, time = channel[order], time[order]
        customer, store = self._who(channel, random)
        lines = self._baskets(window, customer, time, on_hand, random)
        kept = np.zeros(sales, np.bool_)
        kept[lines.sale] = True
        if not kept.all():  # not one unit left in any warehouse
            lines = Lines((np.cumsum(kept) - 1)[lines.sale], lines.product, lines.quantity, lines.price, lines.discount)
            channel, time, customer, store = channel[kept], time[kept], customer[kept], store[kept]
        payment = (random.random(len(time))[:, None] >= _PAYMENT_ODDS[channel]).sum(axis=1)
        payment = np.minimum(payment, len(_PAYMENTS) - 1)
        number = tag.take("T", len(time) + returned)
        sold = number[: len(time)]
        self._plan_returns(lines, sold, channel, customer, store, payment, time, random)
        net = np.bincount(lines.sale, weights=lines.quantity * lines.price - lines.discount, minlength=len(time)).astype(np.int64)
        self.customers.add_spend(customer, net)
        known = customer[lines.sale] >= 0
        self.purchases = Purchases(customer[lines.sale][known], lines.product[known], time[lines.sale][known])
        np.subtract.at(on_hand, lines.product, lines.quantity)
        units = np.bincount(lines.sale, weights=lines.quantity, minlength=len(time)).astype(np.int64)
        original = np.zeros(len(time), np.int64)
        if back is not None:
            def old(name: str) -> Ints:
                return back[name].to_numpy()

            rows = len(time) + np.arange(returned)
            lines = Lines(*(np.concatenate([here, there]) for here, there in (
                (lines.sale, rows), (lines.product, old("product")), (lines.quantity, old("quantity")),
                (lines.price, old("price")), (lines.discount, old("discount")),
            )))  # fmt: skip
            refund = old("quantity") * old("price") - old("discount")
            self.customers.add_spend(old("customer"), -refund)
            np.add.at(on_hand, old("product"), old("quantity"))
            net, units = np.concatenate([net, -refund]), np.concatenate([units, -old("quantity")])
            channel, customer = np.concatenate([channel, old("channel")]), np.concatenate([customer, old("customer")])
            store, payment = np.concatenate([store, old("store")]), np.concatenate([payment, old("payment")])
            time, original = np.concatenate([time, old("due_at")]), np.concatenate([original, old("number")])
        return self._draft(tag, number[: len(time)], original, channel, customer, store, payment, time, lines, net, units)

    def _who(self, channel: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
        """Customer (-1: guest) and store (-1: none) of each sale."""
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
        """What lies in each basket. Nothing is sold that was not there when the window began."""
        sales = len(customer)
        odds = self.products.odds(window.day, on_hand)
        wanted = Odds(LINES).pick(random.random(sales)) + 1
        basket = np.full((sales, len(LINES)), -1)
        for place in range(len(LINES)):
            at = np.flatnonzero(wanted > place)
            pick = self._choose(odds, customer[at], random)
            if place:
                before = basket[at, place - 1]
                goes_with = (random.random(len(at)) < 0.36) & (before >= 0)
                pick = np.where(goes_with, self.products.companion[before], pick)
                buyable = (self.products.known & ~self.products.gone)[pick]
                pick = np.where(buyable & (pick >= 0) & ~(basket[at, :place] == pick[:, None]).any(axis=1), pick, -1)
            basket[at, place] = pick
        sale, place = np.nonzero(basket >= 0)
        product = basket[sale, place]
        quantity = _QUANTITY.pick(random.random(len(product))) + 1
        served = first_come(product, quantity, on_hand)
        sale, product, quantity = sale[served], product[served], quantity[served]
        empty = np.ones(sales, np.bool_)
        empty[sale] = False
        if empty.any():  # what they wanted is sold out: they take one of what there is plenty of
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
        """A product for each customer, mostly of a genre they like; -1 where nothing is left at all."""
        taste = random.random(len(customer))
        place = np.searchsorted((0.50, 0.74, 0.86), taste, side="right")
        genres = len(names.GENRES)
        liked = self.customers.genres[np.minimum(place, 2), np.maximum(customer, 0)]
        group = np.where((customer >= 0) & (place < 3), liked, genres)
        chance: Floats = random.random(len(customer))
        pick = odds.pick(group, chance)
        pick = np.where(pick >= 0, pick, odds.pick(np.full(len(customer), genres), chance))
        return np.where(pick >= 0, pick % self.products.count, -1)  # every product stands there twice

    def _plan_returns(
        self, lines: Lines, number: Ints, channel: Ints, customer: Ints, store: Ints, payment: Ints, time: Ints,
        random: np.random.Generator,
    ) -> None:  # fmt: skip
        first = np.flatnonzero(np.diff(lines.sale, prepend=-1))
        back: Bools = random.random(len(number)) < RETURN_SHARE
        size = np.diff(np.append(first, len(lines.sale)))[back]
        if not len(size):
            return
        line = first[back] + (random.random(len(size)) * size).astype(np.int64)
        sale = lines.sale[line]
        day = time[sale] // DAY + 1 + (-np.log1p(-random.random(len(sale)) * 0.99) * 5.0).astype(np.int64)
        chance = random.random(len(sale))
        due = day * DAY + (chance * DAY).astype(np.int64)
        at_store = np.flatnonzero(channel[sale] == 0)
        for number_of_day in np.unique(day[at_store]).tolist():
            at = at_store[day[at_store] == number_of_day]
            opening = number_of_day
            while store_hours(calendar_day(opening)).mass(0, DAY) <= 0:
                opening += 1
            due[at] = opening * DAY + store_hours(calendar_day(opening)).times(chance[at], 0, DAY)
        self._returns.add(
            pl.DataFrame(
                {
                    "due_at": due, "number": number[sale], "channel": channel[sale], "customer": customer[sale],
                    "store": store[sale], "payment": payment[sale], "product": lines.product[line],
                    "quantity": lines.quantity[line], "price": lines.price[line], "discount": lines.discount[line],
                }
            )
        )  # fmt: skip

    def _draft(
        self, tag: Ids, number: Ints, original: Ints, channel: Ints, customer: Ints, store: Ints, payment: Ints,
        time: Ints, lines: Lines, net: Ints, units: Ints,
    ) -> Draft:  # fmt: skip
        count = len(time)
        is_return = original > 0
        keys = join([f"TX-{tag.tag}-", whole(number)], count)
        pointer = strings([""]).new_from_index(0, count)
        if is_return.any():
            pointer = pointer.zip_with(
                pl.Series(values=~is_return), join([f',"original_transaction_id":"TX-{tag.tag}-', whole(original), '"'], count)
            )
        rest = join(
            [
                '"transaction_id":"', keys, '"', pointer,
                self.customers.id_text.gather(np.where(customer >= 0, customer, self.customers.count)), ',"channel":"',
                strings(CHANNELS).gather(channel), '"',
                self._store_text.gather(np.where(store >= 0, store, len(self._store_text) - 1)), ',"payment_method":',
                quoted(_PAYMENTS).gather(payment), ',"currency":"EUR","items":[', *self._line_texts(lines, count), "]}",
            ],
            count,
        )  # fmt: skip
        return Draft(
            topic="pos-transactions",
            event_id=join([f"t-{tag.tag}-", whole(number)], count),
            event_type=strings(("sale", "return")).gather(is_return.astype(np.int64)),
            event_time=time,
            key=keys,
            rest=rest,
            caused=is_return,
            amount=net,
            units=units,
            extra=np.zeros(count, np.int64),
        )

    def _line_texts(self, lines: Lines, count: int) -> list[pl.Series]:
        """The lines of each receipt by their place on it, from the second on with a comma; empty where there is none."""
        first = np.flatnonzero(np.diff(lines.sale, prepend=-1))
        place = np.arange(len(lines.sale)) - np.repeat(first, np.diff(np.append(first, len(lines.sale))))
        reduced = lines.discount > 0
        discount = join([',"discount_amount":', money(lines.discount), "}"], len(reduced))
        discount = discount.zip_with(pl.Series(values=reduced), strings(["}"]).new_from_index(0, len(reduced)))
        text = join(
            [
                self._numbers.gather(place), self._product_text.gather(lines.product), whole(lines.quantity),
                ',"unit_price":', money(lines.price), discount,
            ],
            len(reduced),
        )  # fmt: skip
        columns = []
        for position in range(int(place.max()) + 1 if len(place) else 0):
            at = np.flatnonzero(place == position)
            here = text.gather(at)
            if position:
                here = join([",", here], len(at))
            row = np.full(count, len(at))
            row[lines.sale[at]] = np.arange(len(at))
            columns.append(pl.concat([here, strings([""])]).gather(row))
        return columns


