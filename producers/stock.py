"""Stock movements: deliveries, transfers, adjustments and shrinkage (`inventory-updates`)."""

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from producers.draft import Draft, DueQueue, Ids, draft_of
from producers.places import places
from producers.products import Products
from producers.randomness import Ints, first_come
from producers.seasons import Window
from producers.text import DAY, HOUR, dates, join, money, quoted, strings, whole

_CARTON = 6
_TYPES = ("delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage")
_DELIVERY, _ADJUSTMENT, _IN, _OUT, _SHRINKAGE = range(5)


@dataclass(frozen=True, slots=True)
class Movements:
    """Movements as columns of one length. `time` is in milliseconds since 1970, `planned` a day number."""

    time: Ints
    kind: Ints
    product: Ints
    warehouse: Ints
    quantity: Ints
    planned: Ints

    def take(self, rows: Ints) -> "Movements":
        """Return these rows, in this order."""
        return Movements(*(getattr(self, part.name)[rows] for part in fields(self)))

    def concat(self, others: "Movements") -> "Movements":
        """Return these movements followed by the others."""
        pairs = ((getattr(self, part.name), getattr(others, part.name)) for part in fields(self))
        return Movements(*(np.concatenate(pair) for pair in pairs))


class Stock:
    """Units per product (`on_hand`, reduced by sales) and per product and warehouse (`held`, movements only)."""

    def __init__(self, products: Products) -> None:
        self.products = products
        self.on_hand = np.zeros(products.count, np.int64)
        self.on_order = np.zeros(products.count, np.int64)
        self.warehouses = len(places().warehouse_ids)
        self.held = np.zeros(products.count * self.warehouses, np.int64)
        self._due = DueQueue(limit=1_000_000)
        self._arrived: list[tuple[Ints, Ints, Ints]] = []
        self._warehouse_text = quoted(places().warehouse_ids)
        self._supplier_text = quoted(places().supplier_ids)

    def opening(self, begin: int, step: int, random: np.random.Generator, tag: Ids) -> Draft:
        """Return the deliveries of the initial stock, to two warehouses per product."""
        known = np.flatnonzero(self.products.known)
        product = np.repeat(known, 2)
        enough = self.products.reorder_point + self.products.demand * (6 + 20 * random.random(self.products.count))
        quantity = (np.maximum(enough, 8).astype(np.int64)[product] + 1) // 2
        home = (random.random(len(known)) * self.warehouses).astype(np.int64)
        warehouse = np.stack([home, (home + 1) % self.warehouses], axis=1).ravel()
        self._receive(product, warehouse, quantity)
        times = begin + step * np.arange(len(product))
        kind = np.full(len(product), _DELIVERY)
        return self._rows(Movements(times, kind, product, warehouse, quantity, times // DAY), random, tag)

    def _receive(self, product: Ints, warehouse: Ints, quantity: Ints) -> None:
        np.add.at(self.on_hand, product, quantity)
        np.add.at(self.held, product * self.warehouses + warehouse, quantity)

    def order(self, window: Window, random: np.random.Generator) -> None:
        """Order products below their reorder point. They arrive after the supplier's lead time, in two deliveries."""
        products = self.products
        active = products.known & ~products.ended & ~products.gone
        low = np.flatnonzero(active & (self.on_hand + self.on_order < products.reorder_point))
        if not len(low):
            return
        need = products.reorder_point[low] - (self.on_hand + self.on_order)[low] + products.demand[low] * 21
        cartons = np.maximum(np.ceil(need / _CARTON), 2).astype(np.int64)
        self.on_order[low] += cartons * _CARTON
        home = (random.random(len(low)) * self.warehouses).astype(np.int64)
        for part, size in ((0, cartons - cartons // 2), (1, cartons // 2)):
            days = products.lead_days[low] + np.where(random.random(len(low)) < 0.2, 2, 0) + part
            due = (window.day + days) * DAY + (6 + 9 * random.random(len(low))) * HOUR
            self._due.add(
                pl.DataFrame(
                    {
                        "due_at": due.astype(np.int64), "kind": np.full(len(low), _DELIVERY), "product": low,
                        "warehouse": (home + part) % self.warehouses, "quantity": size * _CARTON,
                        "planned": window.day + products.lead_days[low],
                    }
                )
            )  # fmt: skip

    def move(self, window: Window, count: int, random: np.random.Generator, tag: Ids) -> Draft | None:
        """Return `count` movements: due arrivals first, then transfers, adjustments and shrinkage.

        Stock never becomes negative. Arrivals can be sold or moved from the next window on (`settle`).
        """
        if window.opens_day:
            self.order(window, random)
        arrivals = self._due_arrivals(window, count)
        if count <= 0:
            return None
        movements = self._new_movements(window, count - len(arrivals), random)
        self._schedule_transfers(window, movements, random)
        if len(arrivals):
            movements = movements.concat(self._arrive(window, arrivals, random))
        return self._rows(movements.take(np.argsort(movements.time, kind="stable")), random, tag)

    def _due_arrivals(self, window: Window, count: int) -> pl.DataFrame:
        """Take at most `count` arrivals that are due in this window; the others are due in the next one."""
        due = self._due.take(window.end)
        if due is None:
            return pl.DataFrame()
        if len(due) > max(count, 0):
            self._due.add(due.slice(count).with_columns(due_at=pl.lit(window.end, pl.Int64)))
        return due.head(count)

    def _new_movements(self, window: Window, count: int, random: np.random.Generator) -> Movements:
        """Return up to `count` transfers out, adjustments and shrinkages, and update the stock."""
        known = np.flatnonzero(self.products.known & ~self.products.gone)
        product = known[(random.random(count) ** 1.5 * len(known)).astype(np.int64)] if len(known) else known
        count = len(product)
        warehouse = (random.random(count) * self.warehouses).astype(np.int64)
        chance = random.random(count)
        kind = np.select([chance < 0.42, chance < 0.60], [_OUT, _SHRINKAGE], _ADJUSTMENT)
        size = 1 + (random.random(count) ** 2 * 6).astype(np.int64)
        size = np.where(kind == _OUT, size * 2, np.minimum(size, 3))
        leaves = (kind != _ADJUSTMENT) | (random.random(count) < 0.28)
        at = np.flatnonzero(leaves)
        shelf = product[at] * self.warehouses + warehouse[at]
        # Sales reduce `on_hand` in the same window, so only a quarter of it may be moved or lost.
        fits = first_come(shelf, size[at], self.held) & first_come(product[at], size[at], self.on_hand // 4)
        leaves[at[~fits]] = False
        counted = ~leaves  # an adjustment that confirms the books or finds one unit more
        kind = np.where(counted, _ADJUSTMENT, kind)
        surplus = (random.random(count) < 0.25).astype(np.int64)
        quantity = np.where(counted, surplus, np.where(kind == _ADJUSTMENT, -size, size))
        out = np.flatnonzero(leaves)
        np.subtract.at(self.on_hand, product[out], size[out])
        np.subtract.at(self.held, product[out] * self.warehouses + warehouse[out], size[out])
        self._arrived.append((product[counted], warehouse[counted], surplus[counted]))
        time = np.sort(window.times("office", random.random(count)))
        return Movements(time, kind, product, warehouse, quantity, time // DAY)

    def _schedule_transfers(self, window: Window, movements: Movements, random: np.random.Generator) -> None:
        """Schedule the arrival of each transfer out in another warehouse."""
        sent = movements.take(np.flatnonzero(movements.kind == _OUT))
        count = len(sent.time)
        if not count:
            return
        travel = ((5 + 40 * random.random(count)) * HOUR).astype(np.int64)
        target = (
            sent.warehouse + 1 + (random.random(count) * (self.warehouses - 1)).astype(np.int64)
        ) % self.warehouses
        self._due.add(
            pl.DataFrame(
                {
                    "due_at": np.maximum(sent.time + travel, window.end), "kind": np.full(count, _IN),
                    "product": sent.product, "warehouse": target, "quantity": sent.quantity, "planned": sent.planned,
                }
            )
        )  # fmt: skip

    def _arrive(self, window: Window, arrivals: pl.DataFrame, random: np.random.Generator) -> Movements:
        """Return these arrivals as movements and note their units for `settle`."""
        due, kind, product, warehouse, quantity, planned = (arrivals[name].to_numpy() for name in arrivals.columns)
        spread = window.begin + (random.random(len(due)) * (window.end - window.begin)).astype(np.int64)
        self._arrived.append((product, warehouse, quantity))
        delivered = kind == _DELIVERY
        np.subtract.at(self.on_order, product[delivered], quantity[delivered])
        return Movements(np.where(due <= window.begin, spread, due), kind, product, warehouse, quantity, planned)

    def settle(self) -> None:
        """End the window: add the units that arrived in it to the stock."""
        for product, warehouse, quantity in self._arrived:
            self._receive(product, warehouse, quantity)
        self._arrived.clear()

    def _rows(self, movements: Movements, random: np.random.Generator, tag: Ids) -> Draft:
        times, product = movements.time, movements.product
        count = len(times)
        numbers = whole(tag.take("i", count))
        keys = self.products.ids[product]
        delivered = movements.kind == _DELIVERY
        delivery = join(
            [
                ',"supplier_id":', self._supplier_text[self.products.supplier[product]], ',"unit_cost":',
                money(self.products.cost[product]), ',"shipment_date":"',
                dates(times // DAY - np.minimum(self.products.lead_days[product] - 1, 12)), '","expected_delivery":"',
                dates(movements.planned), '","quality_status":"',
                strings(("approved", "pending"))[(random.random(count) < 0.05).astype(np.int64)], '"}',
            ],
            count,
        )  # fmt: skip
        tail = (
            delivery.zip_with(pl.Series(values=delivered), strings(["}"]).new_from_index(0, count))
            if count
            else delivery
        )
        rest = join(
            [
                f'"update_id":"IU-{tag.tag}-', numbers, '","product_id":"', keys, '","warehouse_id":',
                self._warehouse_text[movements.warehouse], ',"quantity":', whole(movements.quantity), tail,
            ],
            count,
        )  # fmt: skip
        return draft_of(
            "inventory-updates", join([f"i-{tag.tag}-", numbers], count), strings(_TYPES)[movements.kind], times, keys,
            rest, caused=False,
        )  # fmt: skip
