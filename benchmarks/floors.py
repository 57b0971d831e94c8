"""Time of each step against its floor: the bare library call with the same data.

Floors are seconds per million sales of the fixed corpus, in batches of 100,000: reading the log, parsing (DuckDB's
`from_json` with the contract's types, without checks), appending to Iceberg (bronze and the two silver tables), and
inserting into DuckDB. They are compared with the steps of a complete run over the same records. The steps of a run
overlap, so their sum is larger than the wall time.
"""

import json
import tempfile
import time
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks import score
from benchmarks.catch_up import fill_sales
from benchmarks.corpus import TOPIC
from benchmarks.logs import LogTarget, log_of
from benchmarks.options import Options
from benchmarks.processes import ANIMEVERSE, environment, measured
from benchmarks.results import Result
from pipelines.bronze.table import bronze_rows, ensure_bronze
from pipelines.clock import utc_now
from pipelines.config.settings import load_settings
from pipelines.contracts.tables import POS_ITEMS, silver_schema
from pipelines.lake.catalog import Lake, LakeTable

_BATCH = 100_000
_MILLION = 1_000_000
_PARSE = """
    select from_json(decode(value), '{"event_id":"VARCHAR","event_type":"VARCHAR","event_time":"TIMESTAMPTZ",
    "transaction_id":"VARCHAR","original_transaction_id":"VARCHAR","customer_id":"VARCHAR","channel":"VARCHAR",
    "store_id":"VARCHAR","payment_method":"VARCHAR","currency":"VARCHAR","items":[{"line_number":"BIGINT",
    "product_id":"VARCHAR","quantity":"BIGINT","unit_price":"DECIMAL(18,4)","discount_amount":"DECIMAL(18,4)"}]}') as e
    from batch
"""


def floors(options: Options) -> Result:
    """Measure seconds per million events: floor, product, and product ÷ floor by step."""
    result = Result("floors", options.shown())
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory(prefix="bench-") as named, log_of(options.log, Path(named)) as target:
            records, score_home = fill_sales(target, options.events)
            home = Path(named) / "home"
            home.mkdir()
            own = environment(home, target.url, **target.settings, **options.settings())
            report = json.loads(measured([*ANIMEVERSE, "run", "all", "--once", "--json"], own, home).stdout)
            result.faults += score_home(home)
            per_million = _MILLION / records
            floor = {step: seconds * per_million for step, seconds in _floors(target, home, Path(named)).items()}
            ours = {step: seconds * per_million for step, seconds in report["seconds_by_step"].items()}
            wall = score.first_to_published(home) * per_million
        bare = {
            "bronze": floor["read"] + floor["bronze append"],
            "silver": floor["parse"] + floor["silver append"],
            "gold": floor["insert"],
        }
        for step, seconds in floor.items():
            result.add(f"floors.{step.replace(' ', '_')}.seconds_per_million", "s", seconds)
        for step, seconds in bare.items():
            result.add(f"floors.{step}.ours_seconds_per_million", "s", ours[step])
            result.add(f"floors.{step}.ratio", "x", ours[step] / seconds)
        result.add("floors.sum_of_floors.seconds_per_million", "s", sum(floor.values()))
        result.add("floors.wall.ours_seconds_per_million", "s", wall)
        result.add("floors.wall.ratio", "x", wall / sum(floor.values()))
    return result


def _floors(target: LogTarget, home: Path, folder: Path) -> dict[str, float]:
    """Return the seconds of each bare call over all records."""
    took = dict.fromkeys(("read", "bronze append", "parse", "silver append", "insert"), 0.0)
    bare = load_settings(home=folder / "bare")
    with (
        target.opened() as log,
        closing(Lake.open(bare)) as lake,
        score.tables(home) as table,
        closing(duckdb.connect(str(folder / "bare.duckdb"))) as connection,
    ):
        bronze, positions = ensure_bronze(lake, TOPIC), dict.fromkeys(range(4), 0)
        while True:
            began = time.perf_counter()
            polled = log.poll(TOPIC, positions, _BATCH)
            took["read"] += time.perf_counter() - began
            if not polled.records.num_rows:
                break
            positions = dict(polled.next_offsets)
            rows = bronze_rows(polled.records, utc_now(), 1)
            began = time.perf_counter()
            bronze.append(rows, {})
            took["bronze append"] += time.perf_counter() - began
            batch = polled.records.select(["value"])  # noqa: F841 the query reads it
            began = time.perf_counter()
            connection.sql(_PARSE).to_arrow_table()
            took["parse"] += time.perf_counter() - began
        for name, schema in (("pos_transactions", silver_schema(TOPIC)), ("pos_items", POS_ITEMS)):
            rows = table(f"silver.{name}").scan().to_arrow().select(schema.names).cast(schema)
            _append_and_insert(lake.ensure(f"bare.{name}", schema, day_of="event_time"), rows, connection, name, took)
    return took


def _append_and_insert(
    table: LakeTable, rows: pa.Table, connection: duckdb.DuckDBPyConnection, name: str, took: dict[str, float]
) -> None:
    connection.execute(f"create table {name} as from rows limit 0")
    for start in range(0, rows.num_rows, _BATCH):
        piece = rows.slice(start, _BATCH)
        began = time.perf_counter()
        table.append(piece, {})
        took["silver append"] += time.perf_counter() - began
        began = time.perf_counter()
        connection.execute(f"insert into {name} from piece")
        took["insert"] += time.perf_counter() - began
