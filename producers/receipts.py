"""Receipts as columns and as JSON events (`pos-transactions`)."""

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from producers.customers import CHANNELS, Customers
from producers.draft import Draft
from producers.places import places
from producers.products import Products
from producers.randomness import Bools, Ints
from producers.text import join, money, quoted, strings, whole

MOST_LINES = 5
_COLUMNS = ("number", "original", "channel", "customer", "store", "payment", "time")
PAYMENTS = ("card", "cash", "mobile_pay", "paypal", "klarna")


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of receipts, ordered by receipt; `receipt` is the receipt's row. Money is in cents."""

    receipt: Ints
    product: Ints
    quantity: Ints
    price: Ints
    discount: Ints

    def sums(self, amounts: Ints, count: int) -> Ints:
        """Return the sum of `amounts` over each of `count` receipts."""
        return np.bincount(self.receipt, weights=amounts, minlength=count).astype(np.int64)

    @property
    def net(self) -> Ints:
        """The net amount of each line."""
        return self.quantity * self.price - self.discount

    @property
    def first(self) -> Ints:
        """The row of each receipt's first line."""
        return np.flatnonzero(np.diff(self.receipt, prepend=-1))


@dataclass(frozen=True, slots=True)
class Receipts:
    """Sales and returns. `original` is 0 for a sale; `customer` -1 is a guest, `store` -1 is no store."""

    number: Ints
    original: Ints
    channel: Ints
    customer: Ints
    store: Ints
    payment: Ints
    time: Ints
    lines: Lines

    def __len__(self) -> int:
        """Return the number of receipts."""
        return len(self.time)

    def select(self, which: Bools) -> "Receipts":
        """Return these receipts. The others must have no lines."""
        lines = self.lines
        row = (np.cumsum(which) - 1)[lines.receipt]
        kept = Lines(row, lines.product, lines.quantity, lines.price, lines.discount)
        return Receipts(**{name: getattr(self, name)[which] for name in _COLUMNS}, lines=kept)

    def concat(self, others: "Receipts") -> "Receipts":
        """Return these receipts followed by the others."""
        moved = {part.name: getattr(others.lines, part.name) for part in fields(Lines)}
        moved["receipt"] = moved["receipt"] + len(self)
        lines = Lines(*(np.concatenate([getattr(self.lines, name), column]) for name, column in moved.items()))
        both = {name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in _COLUMNS}
        return Receipts(**both, lines=lines)


class ReceiptBuilder:
    """Builds events from receipts."""

    def __init__(self, customers: Customers, products: Products) -> None:
        self._customers = customers.id_text
        self._products = join([',"product_id":"', products.ids, '","quantity":'], products.count)
        self._stores = strings([*(f',"store_id":"{store}"' for store in places().store_ids), ""])
        self._numbers = strings(f'{{"line_number":{number}' for number in range(1, MOST_LINES + 1))

    def draft(self, receipts: Receipts, tag: str) -> Draft:
        """Return the events of these receipts. `tag` makes their numbers unique."""
        count = len(receipts)
        is_return = receipts.original > 0
        keys = join([f"TX-{tag}-", whole(receipts.number)], count)
        pointer = strings([""]).new_from_index(0, count)
        if is_return.any():
            original = join([f',"original_transaction_id":"TX-{tag}-', whole(receipts.original), '"'], count)
            pointer = original.zip_with(pl.Series(values=is_return), pointer)
        # The last entry of both tables is the empty text.
        customer = np.where(receipts.customer >= 0, receipts.customer, len(self._customers) - 1)
        store = np.where(receipts.store >= 0, receipts.store, len(self._stores) - 1)
        rest = join(
            [
                '"transaction_id":"', keys, '"', pointer, self._customers[customer], ',"channel":"',
                strings(CHANNELS)[receipts.channel], '"', self._stores[store], ',"payment_method":',
                quoted(PAYMENTS)[receipts.payment], ',"currency":"EUR","items":[',
                *self._lines(receipts.lines, count), "]}",
            ],
            count,
        )  # fmt: skip
        sign = np.where(is_return, -1, 1)
        return Draft(
            topic="pos-transactions",
            event_id=join([f"t-{tag}-", whole(receipts.number)], count),
            event_type=strings(("sale", "return"))[is_return.astype(np.int64)],
            event_time=receipts.time,
            key=keys,
            rest=rest,
            caused=is_return,
            amount=sign * receipts.lines.sums(receipts.lines.net, count),
            units=sign * receipts.lines.sums(receipts.lines.quantity, count),
            extra=np.zeros(count, np.int64),
        )

    def _lines(self, lines: Lines, count: int) -> list[pl.Series]:
        """Return the JSON of the lines by position, with a leading comma from the second; empty if there is no line."""
        first = lines.first
        position = np.arange(len(lines.receipt)) - np.repeat(first, np.diff(np.append(first, len(lines.receipt))))
        reduced = lines.discount > 0
        discount = join([',"discount_amount":', money(lines.discount), "}"], len(reduced))
        discount = discount.zip_with(pl.Series(values=reduced), strings(["}"]).new_from_index(0, len(reduced)))
        text = join(
            [
                self._numbers[position], self._products[lines.product], whole(lines.quantity), ',"unit_price":',
                money(lines.price), discount,
            ],
            len(reduced),
        )  # fmt: skip
        columns = []
        for number in range(int(position.max()) + 1 if len(position) else 0):
            at = np.flatnonzero(position == number)
            here = text[at] if number == 0 else join([",", text[at]], len(at))
            row = np.full(count, len(at))
            row[lines.receipt[at]] = np.arange(len(at))
            columns.append(pl.concat([here, strings([""])])[row])
        return columns
