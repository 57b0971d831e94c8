"""The warehouses: deliveries under the reorder point, transfers, counts, losses (`inventory-updates`)."""

import numpy as np
import polars as pl

from producers.draft import Draft, Due, Ids, plain
from producers.places import places
from producers.products import Products
from producers.randomness import Ints, first_come
from producers.seasons import Window
from producers.text import DAY, HOUR, dates, join, money, quoted, strings, whole

_CARTON = 6
_TYPES = ("delivery", "adjustment", "transfer_in", "transfer_out", "shrinkage")
_DELIVERY, _ADJUSTMENT, _IN, _OUT, _SHRINKAGE = range(5)


class Stock:
    """Units by product (`on_hand`, what sales take from) and by product and warehouse (`held`, movements alone)."""

    def __init__(self, products: Products) -> None:
        self.products = products
        self.on_hand = np.zeros(products.count, np.int64)
        self.on_order = np.zeros(products.count, np.int64)
        self.warehouses = len(places().warehouse_ids)
        self.held = np.zeros(products.count * self.warehouses, np.int64)
        self._due = Due(limit=1_000_000)
        self._arrived: list[tuple[Ints, Ints, Ints]] = []
        self._warehouse_text = quoted(places().warehouse_ids)
        self._supplier_text = quoted(places().supplier_ids)

    def opening(self, begin: int, step: int, random: np.random.Generator, tag: Ids) -> Draft:
        """Deliveries that fill the shelves before the first sale: two warehouses a product."""
        known = np.flatnonzero(self.products.known)
        product = np.repeat(known, 2)
        enough = self.products.reorder_point + self.products.demand * (6 + 20 * random.random(self.products.count))
        quantity = (np.maximum(enough, 8).astype(np.int64)[product] + 1) // 2
        home = (random.random(len(known)) * self.warehouses).astype(np.int64)
        warehouse = np.stack([home, (home + 1) % self.warehouses], axis=1).ravel()
        self._receive(product, warehouse, quantity)
        times = begin + step * np.arange(len(product))
        kind = np.full(len(product), _DELIVERY)
        return self._rows(times, kind, product, warehouse, quantity, times // DAY, random, tag)

    def _receive(self, product: Ints, warehouse: Ints, quantity: Ints) -> None:
        np.add.at(self.on_hand, product, quantity)
        np.add.at(self.held, product * self.warehouses + warehouse, quantity)

    def order(self, window: Window, random: np.random.Generator) -> None:
        """Order what has fallen under its reorder point; it comes after the supplier's lead time, in two parts."""
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
        """`count` movements: what arrives first, then transfers, counts and losses. Nothing leaves that is not there.

        What arrives can be sold or moved from the next window on (`settle`).
        """
        if window.opens_day:
            self.order(window, random)
        due = self._due.take(window.end)
        arriving = 0
        if due is not None:
            arriving = min(len(due), count)
            if arriving < len(due):
                self._due.add(due.slice(arriving).with_columns(due_at=pl.lit(window.end, pl.Int64)))
            due = due.head(arriving)
        fresh = count - arriving
        if count <= 0:
            return None
        known = np.flatnonzero(self.products.known & ~self.products.gone)
        product = known[(random.random(fresh) ** 1.5 * len(known)).astype(np.int64)] if len(known) else known
        fresh = len(product)
        warehouse = (random.random(fresh) * self.warehouses).astype(np.int64)
        chance = random.random(fresh)
        kind = np.select([chance < 0.42, chance < 0.60], [_OUT, _SHRINKAGE], _ADJUSTMENT)
        size = 1 + (random.random(fresh) ** 2 * 6).astype(np.int64)
        size = np.where(kind == _OUT, size * 2, np.minimum(size, 3))
        lost = (kind == _ADJUSTMENT) & (random.random(fresh) < 0.28)
        leaves = (kind != _ADJUSTMENT) | lost
        at = np.flatnonzero(leaves)
        shelf = product[at] * self.warehouses + warehouse[at]
        # Sales come out of `on_hand` in the same window: only a quarter of it may be moved or lost.
        fits = first_come(shelf, size[at], self.held) & first_come(product[at], size[at], self.on_hand // 4)
        leaves[at[~fits]] = False
        counted = ~leaves  # a count that finds what the books say, or one unit more
        kind = np.where(counted, _ADJUSTMENT, kind)
        found = (random.random(fresh) < 0.25).astype(np.int64)
        quantity = np.where(counted, found, np.where(kind == _ADJUSTMENT, -size, size))
        change = np.where(leaves, -size, found)
        out = np.flatnonzero(leaves)
        np.subtract.at(self.on_hand, product[out], size[out])
        np.subtract.at(self.held, product[out] * self.warehouses + warehouse[out], size[out])
        self._arrived.append((product[counted], warehouse[counted], change[counted]))
        times = np.sort(window.times("office", random.random(fresh)))
        planned = times // DAY
        sent = np.flatnonzero(kind == _OUT)
        if len(sent):
            travel = ((5 + 40 * random.random(len(sent))) * HOUR).astype(np.int64)
            target = (
                warehouse[sent] + 1 + (random.random(len(sent)) * (self.warehouses - 1)).astype(np.int64)
            ) % self.warehouses
            self._due.add(
                pl.DataFrame(
                    {
                        "due_at": np.maximum(times[sent] + travel, window.end), "kind": np.full(len(sent), _IN),
                        "product": product[sent], "warehouse": target, "quantity": size[sent], "planned": planned[sent],
                    }
                )
            )  # fmt: skip
        if due is not None and arriving:
            there = {name: due[name].to_numpy() for name in due.columns}
            late = there["due_at"] <= window.begin
            at_time = np.where(
                late,
                window.begin + (random.random(arriving) * (window.end - window.begin)).astype(np.int64),
                there["due_at"],
            )
            self._arrived.append((there["product"], there["warehouse"], there["quantity"]))
            delivered = there["kind"] == _DELIVERY
            np.subtract.at(self.on_order, there["product"][delivered], there["quantity"][delivered])
            times, kind = np.concatenate([times, at_time]), np.concatenate([kind, there["kind"]])
            product, warehouse = (
                np.concatenate([product, there["product"]]),
                np.concatenate([warehouse, there["warehouse"]]),
            )
            quantity, planned = (
                np.concatenate([quantity, there["quantity"]]),
                np.concatenate([planned, there["planned"]]),
            )
        order = np.argsort(times, kind="stable")
        return self._rows(
            times[order], kind[order], product[order], warehouse[order], quantity[order], planned[order], random, tag
        )

    def settle(self) -> None:
        """The window is over: what arrived in it lies on the shelves."""
        for product, warehouse, quantity in self._arrived:
            self._receive(product, warehouse, quantity)
        self._arrived.clear()

    def _rows(
        self, times: Ints, kind: Ints, product: Ints, warehouse: Ints, quantity: Ints, planned: Ints,
        random: np.random.Generator, tag: Ids,
    ) -> Draft:  # fmt: skip
        count = len(times)
        numbers = whole(tag.take("i", count))
        keys = self.products.ids[product]
        delivered = kind == _DELIVERY
        delivery = join(
            [
                ',"supplier_id":', self._supplier_text[self.products.supplier[product]], ',"unit_cost":',
                money(self.products.cost[product]), ',"shipment_date":"',
                dates(times // DAY - np.minimum(self.products.lead_days[product] - 1, 12)), '","expected_delivery":"',
                dates(planned), '","quality_status":"',
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
                self._warehouse_text[warehouse], ',"quantity":', whole(quantity), tail,
            ],
            count,
        )  # fmt: skip
        return plain(
            "inventory-updates", join([f"i-{tag.tag}-", numbers], count), strings(_TYPES)[kind], times, keys, rest,
            caused=False,
        )  # fmt: skip
