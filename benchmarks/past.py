"""Build a home with a long history in minutes: silver is written directly, gold by normal refreshes.

The history has no log and no bronze. Its rows are in silver as if they came from a landing file (partition -1), with
several days per append. Each append is refreshed into gold as `animeverse run gold` does. Then days are closed as in
an idle run. Tables, files, closed days and versions are those of a real pipeline; only `reconcile` would report the
missing records. Master data comes through the log.
"""

import json
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.corpus import CUSTOMERS, PRODUCTS, STORES, Ints, mixed
from benchmarks.logs import LogTarget
from benchmarks.options import say
from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import POS_ITEMS, silver_schema
from pipelines.lake.catalog import Lake, encode
from pipelines.log.interface import OUTGOING
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import LAYERS
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.topic import SilverTopic
from warehouse.writer import Warehouse

TITLES, _LINES = 50, 2  # titles; lines per event
_APPEND_ROWS = 1_500_000  # approximate lines per append; whole days
_DAY = 86_400_000_000  # microseconds
_NEVER = threading.Event()


def today() -> int:
    """Return the start of the current UTC day in microseconds: the end of the history."""
    return int(datetime.now(UTC).timestamp()) // 86_400 * _DAY


def build(target: LogTarget, settings: Settings, rows: int, days: int) -> int:
    """Build the home with about `rows` sales lines over `days` days up to today; return the number of lines."""
    with target.opened() as log:
        for topic, records in (("anime-schedule", _titles(days)), ("product-catalog", _products(days))):
            log.append(topic, records)
    _work(settings, LAYERS)
    a_day = max(1, rows // days // _LINES)
    step = max(1, min(days, _APPEND_ROWS // (a_day * _LINES)))
    with closing(Lake.open(settings)) as lake:
        sales = SilverTopic(lake, "pos-transactions", settings.policy("pos-transactions"))
        Quarantine(lake)
        assert sales.lines_table is not None
        for day in range(0, days, step):
            number = np.arange(day * a_day, min(day + step, days) * a_day)
            at = today() - days * _DAY + (number * (_DAY / a_day)).astype(np.int64)
            events = _events(number, at)
            sales.lines_table.append(_lines(number, events), {"consumed": "0"})
            checkpoint = {"consumed": "0", "state": encode({"-1": [int(at[-1]), int(at[-1])]}), "ledger": "[]"}
            sales.checkpoint_table.append(events.to_arrow().select(silver_schema("pos-transactions").names), checkpoint)
            say(f"history: {(number[-1] + 1) * _LINES:,} of {days * a_day * _LINES:,} lines")
            _work(settings, ("gold",))
    with closing(Warehouse(settings.published_path.parent)) as gold:
        while gold.archive_closed_days():  # as an idle pipeline does
            pass
    return days * a_day * _LINES


def _work(settings: Settings, layers: tuple[str, ...]) -> None:
    with closing(Warehouse(settings.published_path.parent)) as gold:
        run(settings, layers, follow=False, gold=gold, clock=_now, progress=lambda _: None, stop=_NEVER)


def settings_of(home: str, target: LogTarget) -> Settings:
    """Return the settings that the measured processes have."""
    return load_settings(home=home, log_url=target.url, topic_prefix=target.prefix or None)


def _now() -> datetime:
    return datetime.now(UTC)


def _events(number: Ints, at: Ints) -> pl.DataFrame:
    """Return rows of silver.pos_transactions."""
    store = pl.Series(_draw(number, 7, 3 * STORES)) + 1
    known = pl.DataFrame({"number": number, "at": at, "store": store, "customer": _draw(number, 6, CUSTOMERS)})
    event_time = pl.from_epoch("at", "us").dt.replace_time_zone("UTC")
    names = silver_schema("pos-transactions").names
    return known.select(
        event_id=pl.lit("past-") + pl.col("number").cast(pl.String).str.zfill(12),
        event_time=event_time,
        event_type=pl.lit("sale"),
        transaction_id=pl.lit("PX-") + pl.col("number").cast(pl.String).str.zfill(12),
        original_transaction_id=pl.lit(None, pl.String),
        customer_id=pl.lit("C-") + pl.col("customer").cast(pl.String).str.zfill(8),
        channel=pl.when(pl.col("store") <= STORES).then(pl.lit("store")).otherwise(pl.lit("online")),
        store_id=pl.when(pl.col("store") <= STORES).then(
            pl.lit("ST-") + pl.col("store").cast(pl.String).str.zfill(2)
        ),
        payment_method=pl.lit("card"),
        currency=pl.lit("EUR"),
        _partition=pl.lit(-1, pl.Int32),
        _offset=pl.col("number"),
        _arrival=pl.lit("on_time"),
        _lateness_seconds=pl.lit(0.0),
        _recorded_at=event_time,
        _ingested_at=event_time,
        _extra=pl.lit(None, pl.String),
    ).select(names)  # fmt: skip


def _lines(number: Ints, events: pl.DataFrame) -> pa.Table:
    """Return rows of silver.pos_items."""
    line = np.repeat(number, _LINES) * _LINES + np.tile(np.arange(_LINES), len(number))
    money = pl.Decimal(18, 4)
    cents = pl.DataFrame({"price": 299 + _draw(line, 12, 9_700), "product": _draw(line, 10, PRODUCTS)})
    carried = ("event_id", "event_time", *(name for name in POS_ITEMS.names if name.startswith("_")))
    repeated = events.select(carried)[pl.Series(np.repeat(np.arange(len(number)), _LINES))]
    rows = repeated.with_columns(
        cents.select(
            line_number=pl.lit(pl.Series(np.tile(np.arange(1, _LINES + 1), len(number)))),
            product_id=pl.lit("P-") + pl.col("product").cast(pl.String).str.zfill(5),
            quantity=pl.lit(pl.Series(_draw(line, 11, 4) + 1)),
            unit_price=(pl.col("price").cast(pl.Decimal(18, 2)) / 100).cast(money),
            discount_amount=pl.lit(0).cast(money),
        )
    )
    return rows.select(POS_ITEMS.names).to_arrow().cast(POS_ITEMS)


def _draw(number: Ints, salt: int, most: int) -> Ints:
    drawn: Ints = (mixed(number, salt) % np.uint64(most)).astype(np.int64)
    return drawn


def _titles(days: int) -> pa.Table:
    first = datetime.fromtimestamp(today() / 1e6, UTC) - timedelta(days=days + 1)
    return _master(
        "anime-schedule",
        [
            {
                "event_id": f"title-{n}", "event_type": "upsert", "event_time": first.isoformat(),
                "title_id": f"T-{n:03}", "title": f"Title {n}", "genres": ["action"], "studio": "Studio",
                "age_rating": "12", "runtime_minutes": 110, "release_date": first.date().isoformat(),
                "status": "showing",
            }
            for n in range(TITLES)
        ],
    )  # fmt: skip


def _products(days: int) -> pa.Table:
    first = datetime.fromtimestamp(today() / 1e6, UTC) - timedelta(days=days + 1)
    return _master(
        "product-catalog",
        [
            {
                "event_id": f"product-{n}", "event_type": "upsert", "event_time": first.isoformat(),
                "product_id": f"P-{n:05}", "name": f"Product {n}", "category": "figure",
                "title_id": f"T-{n % TITLES:03}", "supplier_id": "SUP-01",
                "list_price": 49.99, "unit_cost": 20, "reorder_point": 10,
                "status": "active",
            }
            for n in range(PRODUCTS)
        ],
    )  # fmt: skip


def _master(topic: str, events: list[dict[str, object]]) -> pa.Table:
    key = CONTRACTS[topic].key_field
    columns = {
        "partition": pa.nulls(len(events), pa.int32()),
        "timestamp": pa.nulls(len(events), OUTGOING.field("timestamp").type),
        "key": pa.array([str(event[key]).encode() for event in events]),
        "headers": pa.nulls(len(events), OUTGOING.field("headers").type),
        "value": pa.array([json.dumps(event).encode() for event in events]),
    }
    return pa.Table.from_pydict(columns, schema=OUTGOING)
