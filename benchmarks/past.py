"""A home with a long past, made in minutes: silver is written directly, gold by the pipeline's own refreshes.

The past has no log and no bronze: its rows stand in silver as if they had come by file (partition -1), days of them in
one append, and each append is refreshed into gold as `animeverse run gold` does; then days are closed, as an idle run
does. So tables, files, closed days and histories are those that a pipeline leaves behind; only `reconcile` would ask
where the records are. Master data comes through the log.
"""

import json
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.corpus import CUSTOMERS, PRODUCTS, STORES, Ints, mixed
from benchmarks.logs import Place
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

TITLES, _LINES = 50, 2  # lines of each event
_APPEND_ROWS = 1_500_000  # lines in one append, about; whole days
_DAY = 86_400_000_000  # microseconds
_NOTHING = threading.Event()


def today() -> int:
    """The begin of this UTC day in microseconds: where the past ends."""
    return int(datetime.now(UTC).timestamp()) // 86_400 * _DAY


def build(place: Place, settings: Settings, rows: int, days: int) -> int:
    """Make the home of the settings, with so many sales lines over so many days up to today; how many there are."""
    with place.opened() as log:
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
            stamp = {"consumed": "0", "state": encode({"-1": [int(at[-1]), int(at[-1])]}), "ledger": "[]"}
            sales.checkpoint_table.append(events.to_arrow().select(silver_schema("pos-transactions").names), stamp)
            say(f"history: {(number[-1] + 1) * _LINES:,} of {days * a_day * _LINES:,} lines")
            _work(settings, ("gold",))
    with closing(Warehouse(settings.published_path.parent)) as gold:
        while gold.archive_closed_days():  # as a pipeline does that has nothing else to do
            pass
    return days * a_day * _LINES


def _work(settings: Settings, layers: tuple[str, ...]) -> None:
    with closing(Warehouse(settings.published_path.parent)) as gold:
        run(settings, layers, follow=False, gold=gold, clock=_now, progress=lambda _: None, stop=_NOTHING)


def settings_of(home: str, place: Place) -> Settings:
    """Those that the measured processes have, too."""
    return load_settings(home=home, log_url=place.url, topic_prefix=place.prefix or None)


def _now() -> datetime:
    return datetime.now(UTC)


def _events(number: Ints, at: Ints) -> pl.DataFrame:
    """Rows of silver.pos_transactions."""
    store = pl.Series(_draw(number, 7, 3 * STORES)) + 1
    known = pl.DataFrame({"number": number, "at": at, "store": store, "customer": _draw(number, 6, CUSTOMERS)})
    moment = pl.from_epoch("at", "us").dt.replace_time_zone("UTC")
    names = silver_schema("pos-transactions").names
    return known.select(
        event_id=pl.lit("past-") + pl.col("number").cast(pl.String).str.zfill(12),
        event_time=moment,
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
        _recorded_at=moment,
        _ingested_at=moment,
        _extra=pl.lit(None, pl.String),
    ).select(names)  # fmt: skip


def _lines(number: Ints, events: pl.DataFrame) -> pa.Table:
    """Rows of silver.pos_items."""
    again = np.repeat(number, _LINES) * _LINES + np.tile(np.arange(_LINES), len(number))
    money = pl.Decimal(18, 4)
    cents = pl.DataFrame({"price": 299 + _draw(again, 12, 9_700), "product": _draw(again, 10, PRODUCTS)})
    carried = ("event_id", "event_time", *(name for name in POS_ITEMS.names if name.startswith("_")))
    repeated = events.select(carried)[pl.Series(np.repeat(np.arange(len(number)), _LINES))]
    rows = repeated.with_columns(
        cents.select(
            line_number=pl.lit(pl.Series(np.tile(np.arange(1, _LINES + 1), len(number)))),
            product_id=pl.lit("P-") + pl.col("product").cast(pl.String).str.zfill(5),
            quantity=pl.lit(pl.Series(_draw(again, 11, 4) + 1)),
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
