"""Small random silver: few members, many ties, deletes, backdated and repeated changes, late and unordered arrival."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.contracts.registry import BUSINESS_TOPICS
from pipelines.contracts.tables import POS_ITEMS, silver_schema
from pipelines.silver.changes import PARTITIONS, SilverChanges

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TABLES = (
    "pos_transactions", "pos_items", "cinema_sales", "inventory_updates",
    "customer_reviews", "customer_profiles", "product_catalog", "anime_schedule",
)  # fmt: skip
Row = dict[str, Any]


def schema_of(table: str) -> pa.Schema:
    return POS_ITEMS if table == "pos_items" else silver_schema(table.replace("_", "-"))


def at(text: str) -> datetime:
    """`03-05 12:00` of 2026, UTC; seconds and microseconds if given."""
    return datetime.fromisoformat(f"2026-{text}+00:00")


class Silver:
    """Rows of silver in the order of the log, with their lineage."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Row]] = []
        self._offsets: dict[tuple[str, int], int] = {}
        self._number = 0

    def add(
        self, table: str, event_time: datetime, *, partition: int = 0, arrival: str = "on_time", **fields: Any
    ) -> Row:
        self._number += 1
        offset = self._offsets.get((table, partition), -1) + 1
        self._offsets[table, partition] = offset
        row = {
            "event_id": f"E{self._number:05d}",
            "event_time": event_time,
            "_partition": partition,
            "_offset": offset,
            "_arrival": arrival,
            "_lateness_seconds": 0.0,
            "_recorded_at": event_time + timedelta(seconds=1),
            "_ingested_at": NOW,
            **fields,
        }
        self.rows.append((table, row))
        return row

    def sale(
        self, event_time: datetime, lines: Sequence[tuple[str, int, str]], customer: str | None = None, **more: Any
    ) -> Row:
        """`lines` are (product_id, quantity, unit_price[/discount])."""
        more = {"event_type": "sale", "channel": "online", "payment_method": "card", "currency": "EUR", **more}
        arrival, partition = more.pop("arrival", "on_time"), more.pop("partition", 0)
        head = self.add(
            "pos_transactions", event_time, partition=partition, arrival=arrival, customer_id=customer, **more
        )
        head.setdefault("transaction_id", f"T-{head['event_id']}")
        for number, (product, quantity, price) in enumerate(lines, start=1):
            unit_price, _, discount = price.partition("/")
            shared = {name: head[name] for name in POS_ITEMS.names if name in head}
            line = {
                "line_number": number, "product_id": product, "quantity": quantity,
                "unit_price": Decimal(unit_price), "discount_amount": Decimal(discount) if discount else None,
            }  # fmt: skip
            self.rows.append(("pos_items", {**shared, **line}))
        return head

    def booking(
        self, event_time: datetime, title: str, seats: int, price: str, customer: str | None = None, **more: Any
    ) -> Row:
        fields = {
            "event_type": "booking", "booking_id": f"B{self._number}", "customer_id": customer, "screening_id": "S1",
            "title_id": title, "theater_id": "TH-01", "screening_time": event_time + timedelta(days=1),
            "ticket_type": "standard", "seats_booked": seats, "ticket_price": Decimal(price),
            "concession_amount": None, "channel": "box_office", "payment_method": "cash",
        }  # fmt: skip
        return self.add("cinema_sales", event_time, **{**fields, **more})

    def movement(
        self, event_time: datetime, product: str, quantity: int, event_type: str = "delivery", **more: Any
    ) -> Row:
        fields = {"update_id": f"U{self._number}", "warehouse_id": "WH-01", "supplier_id": "SUP-01"}
        return self.add(
            "inventory_updates",
            event_time,
            event_type=event_type,
            product_id=product,
            quantity=quantity,
            **{**fields, **more},
        )

    def review(
        self, event_time: datetime, customer: str, product: str | None, title: str | None = None, **more: Any
    ) -> Row:
        fields = {"event_type": "review", "review_id": f"R{self._number}", "rating": 4, "verified_purchase": True}
        return self.add(
            "customer_reviews",
            event_time,
            customer_id=customer,
            product_id=product,
            title_id=title,
            **{**fields, **more},
        )

    def customer(
        self, event_time: datetime, customer: str, tier: str = "none", city: str = "Kyoto", **more: Any
    ) -> Row:
        fields = {
            "name": f"name of {customer}", "email": f"{customer}@example.org", "signup_date": date(2020, 1, 1),
            "birth_date": date(1990, 1, 1), "city": city, "country": "JP", "loyalty_tier": tier,
            "preferred_genres": ["mecha"], "marketing_opt_in": True,
        }  # fmt: skip
        return self.add(
            "customer_profiles", event_time, event_type="upsert", customer_id=customer, **{**fields, **more}
        )

    def product(self, event_time: datetime, product: str, cost: str = "5", **more: Any) -> Row:
        fields = {
            "name": f"name of {product}", "category": "figure", "title_id": None, "supplier_id": "SUP-02",
            "list_price": Decimal(20), "unit_cost": Decimal(cost), "reorder_point": 3, "status": "active",
        }  # fmt: skip
        return self.add("product_catalog", event_time, event_type="upsert", product_id=product, **{**fields, **more})

    def title(self, event_time: datetime, title: str, status: str = "showing", **more: Any) -> Row:
        fields = {
            "title": f"title {title}", "genres": ["drama"], "studio": "Bones", "age_rating": "12",
            "runtime_minutes": 100, "release_date": date(2026, 1, 1),
            "run_start": None, "run_end": None, "status": status,
        }  # fmt: skip
        return self.add("anime_schedule", event_time, event_type="upsert", title_id=title, **{**fields, **more})

    def delete(self, event_time: datetime, **key: str) -> Row:
        table = {"customer_id": "customer_profiles", "product_id": "product_catalog", "title_id": "anime_schedule"}
        return self.add(table[next(iter(key))], event_time, event_type="delete", **key)


def changes_of(rows: Sequence[tuple[str, Row]], high: datetime | None = None, snapshot: int = 1) -> SilverChanges:
    """The input of a refresh; the watermark of pos-transactions follows from `high`."""
    tables = {
        table: pa.Table.from_pylist(
            [{name: row.get(name) for name in schema_of(table).names} for name_, row in rows if name_ == table],
            schema=schema_of(table),
        )
        for table in TABLES
    }
    return SilverChanges(tables, {f"silver.{table}": snapshot for table in TABLES}, partitions_of(high))


def partitions_of(high: datetime | None) -> pa.Table:
    return partitions([("pos-transactions", 0, high, high)] if high is not None else [])


def partitions(states: Sequence[tuple[str, int, datetime | None, datetime | None]]) -> pa.Table:
    """(topic, partition, high, last_record_at) with the default durations."""
    minute = 60_000_000
    return pa.Table.from_pylist(
        [
            {
                "topic": topic, "is_business": topic in BUSINESS_TOPICS,
                "partition": partition, "high": high, "last_record_at": last,
                "out_of_orderness": 10 * minute, "allowed_lateness": 48 * 60 * minute, "idle_timeout": 5 * minute,
            }
            for topic, partition, high, last in states
        ],
        schema=PARTITIONS,
    )  # fmt: skip


def random_silver(seed: int, events: int = 90) -> list[tuple[str, Row]]:
    """Events of a few members in all combinations, at times on a coarse grid, so that ties are common."""
    dice = random.Random(seed)
    silver = Silver()
    customers, products, titles = ["C1", "C2", "C3", "C4"], ["P1", "P2", "P3"], ["A1", "A2"]
    days = dice.choice([3, 12, 40, 420])
    for _ in range(events):
        moment = START + timedelta(days=dice.randrange(days), hours=dice.choice([0, 0, 6, 12, 23]))
        moment += dice.choice([0, 0, 0, 1, -1]) * MICROSECOND
        customer, product, title = dice.choice([*customers, None]), dice.choice(products), dice.choice(titles)
        more: Row = {"partition": dice.randrange(-1, 3), "arrival": dice.choice(["on_time", "on_time", "late"])}
        price = dice.choice(["10", "0.0001", "99999999999999.9999/0.3333", "19.99/1.5", "0"])
        match dice.choice(
            ["sale"] * 5 + ["cinema"] * 3 + ["stock"] * 2 + ["review", "customer", "customer", "product", "title"]
        ):
            case "sale":
                kind = dice.choice(["sale", "sale", "sale", "return"])
                receipt = {"transaction_id": f"T{dice.randrange(20)}"} if dice.random() < 0.3 else {}
                where = {"channel": dice.choice(["store", "online"]), "store_id": dice.choice([None, "ST-01", "ST-X"])}
                lines = [(dice.choice(products), dice.randint(1, 5), price) for _ in range(dice.randint(1, 3))]
                silver.sale(moment, lines, customer, event_type=kind, **receipt, **where, **more)
            case "cinema":
                kind = dice.choice(["booking", "booking", "cancellation"])
                silver.booking(
                    moment, title, dice.randint(1, 4), price.partition("/")[0], customer, event_type=kind, **more
                )
            case "stock":
                kind = dice.choice(["delivery", "adjustment", "transfer_out", "shrinkage"])
                units = -dice.randint(0, 5) if kind == "adjustment" else dice.randint(1, 9)
                silver.movement(moment, product, units, kind, warehouse_id=dice.choice(["WH-01", "WH-X"]), **more)
            case "review":
                of = dice.choice([(product, None), (None, title)])
                silver.review(moment, dice.choice(customers), *of, rating=dice.randint(1, 5), **more)
            case "customer" if dice.random() < 0.25:
                silver.delete(moment, customer_id=dice.choice(customers))
            case "customer":
                tier, name = dice.choice(["none", "gold"]), dice.choice(["Ann", "Bo"])
                silver.customer(moment, dice.choice(customers), tier, dice.choice(["Kyoto", "Nara"]), name=name, **more)
            case "product" if dice.random() < 0.25:
                silver.delete(moment, product_id=product)
            case "product":
                silver.product(moment, product, dice.choice(["5", "6.5"]), name=dice.choice(["x", "y"]), **more)
            case _ if dice.random() < 0.25:
                silver.delete(moment, title_id=title)
            case _:
                silver.title(moment, title, dice.choice(["showing", "ended"]), **more)
    return silver.rows


def random_parts(seed: int, rows: Sequence[tuple[str, Row]], most: int = 5) -> list[list[tuple[str, Row]]]:
    """The rows in random order in up to `most` parts. Lines of an event stay together, mostly with their head."""
    dice = random.Random(f"parts {seed}")
    parts: list[list[tuple[str, Row]]] = [[] for _ in range(dice.randint(2, most))]
    torn = dice.random() < 0.2
    place: Mapping[str, int] = {row["event_id"]: dice.randrange(len(parts)) for _, row in rows}
    in_time = dice.random() < 0.5
    order = sorted(rows, key=lambda entry: (entry[1]["event_time"], entry[1]["event_id"])) if in_time else list(rows)
    for number, (table, row) in enumerate(order):
        part = number * len(parts) // len(order) if in_time and table != "pos_items" else place[row["event_id"]]
        if in_time and not torn and table in ("pos_items", "pos_transactions"):
            part = place[row["event_id"]]
        if torn and table == "pos_items":
            part = random.Random(f"{seed} {row['event_id']}").randrange(len(parts))
        parts[part].append((table, row))
    for part in parts:
        dice.shuffle(part)
    return parts
