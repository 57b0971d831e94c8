"""The fast path: DuckDB reads the values that match a learned layout, thousands at a time.

It reads a value only where the result is certain to be that of the exact path: the layout's pattern guarantees the form
of the text (`layouts.py`), and the query below excludes the values with faults that no pattern can find. It leaves all
other values to the exact path and rejects none.
"""

from datetime import UTC, datetime
from functools import cache
from threading import Lock

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import Contract
from pipelines.duckdb_sandbox import connect, lock
from pipelines.parsing.columns import events_schema, frame
from pipelines.parsing.exact_path import ExactReader, Rejected
from pipelines.parsing.layouts import CompiledLayout, Layouts
from pipelines.parsing.values import ParseRules, microseconds

_MAX_SAMPLES = 24  # values of a batch from which a layout may be learned
_FEW, _FEW_IN = 64, 500  # learn no layout for fewer values than this, or than one in this many
_CHUNK = 16_384  # values that one thread of DuckDB takes at a time
_JSON_TYPES = {"integer": "BIGINT", "money": "DECIMAL(18,4)", "boolean": "BOOLEAN"}
_lock = Lock()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty in-memory database for the process. It writes no file and uses no network."""
    connection = connect(threads=2)
    connection.execute("set temp_directory = ''")
    lock(connection)
    return connection


def parse_fast(contract: Contract, texts: pl.DataFrame, rules: ParseRules, layouts: Layouts) -> pl.DataFrame:
    """Events of the texts (row, value) that the fast path can read, with the columns of events_schema, by rising row.

    Raises duckdb.Error, pl.exceptions.PolarsError or pa.ArrowException when a library fails.
    """
    matched: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for layout, rows in _match(contract, texts, rules, layouts):
        matched.setdefault(layout.extras, []).append(rows)
    events = [_read(contract, pl.concat(frames), extras, rules) for extras, frames in matched.items()]
    if not events:
        return frame(events_schema(contract).empty_table())
    return pl.concat(events).sort("row") if len(events) > 1 or not events[0]["row"].is_sorted() else events[0]


def _match(
    contract: Contract, texts: pl.DataFrame, rules: ParseRules, layouts: Layouts
) -> list[tuple[CompiledLayout, pl.DataFrame]]:
    """The texts by the layout that they match, with money_rounded. Learns layouts while many texts match none."""
    unmatched = texts.filter(pl.col("value").is_not_null())
    found: list[tuple[CompiledLayout, pl.DataFrame]] = []

    def apply(layout: CompiledLayout) -> None:
        nonlocal unmatched
        hits = unmatched["value"].str.contains(layout.pattern)
        rows = unmatched.filter(hits)
        if rows.height:
            rounded = pl.lit(False) if layout.unrounded is None else ~pl.col("value").str.contains(layout.unrounded)
            found.append((layout, rows.with_columns(rounded.alias("money_rounded"))))
            unmatched = unmatched.filter(~hits)
        layouts.count_hits(layout, rows.height)

    for layout in layouts.compiled(contract, rules):
        if unmatched.height:
            apply(layout)
    enough = max(_FEW, texts.height // _FEW_IN)
    exact = ExactReader(contract, rules)
    for attempt in range(_MAX_SAMPLES):
        if unmatched.height <= enough:
            break
        sample = unmatched["value"][unmatched.height * attempt // _MAX_SAMPLES]
        is_valid = not isinstance(exact.read(sample.encode()), Rejected)
        learned = layouts.learn(contract, rules, sample) if is_valid else None
        if learned is not None:
            apply(learned)
    return found


def _read(contract: Contract, rows: pl.DataFrame, extras: tuple[str, ...], rules: ParseRules) -> pl.DataFrame:
    """The events among rows (row, value, money_rounded) that match a layout with these extra fields."""
    arrow = rows.to_arrow(compat_level=pl.CompatLevel.newest())
    matched = pa.Table.from_batches(arrow.to_batches(max_chunksize=_CHUNK), arrow.schema)
    with _lock:
        connection = _database().cursor()
    try:
        connection.register("matched", matched)
        table = connection.sql(_query(contract, extras, rules)).to_arrow_table()
    finally:
        connection.close()
    if not pc.all(table.column("is_valid"), min_count=0).as_py():
        table = table.filter(table.column("is_valid"))
    schema = events_schema(contract)
    return frame(table.select(schema.names).cast(schema))


def _query(contract: Contract, extras: tuple[str, ...], rules: ParseRules) -> str:
    """A query over `matched` (row, value, money_rounded).

    Names are of contracts and layouts, and contain no quote. Validity is a column and not a filter, because DuckDB
    would push a filter down and read each value twice.
    """
    types = [(field.name, _json_type(field)) for field in contract.fields] + [(name, '"JSON"') for name in extras]
    structure = "{" + ",".join(f'"{name}":{json_type}' for name, json_type in types) + "}"
    members = " || ',' || ".join(f"""'"{name}":' || event."{name}\"""" for name in extras)
    columns = [f'{_cast(field)} as "{field.name}"' for field in contract.fields]
    return f"""
        select "row", {", ".join(columns)},
            {f"'{{' || {members} || '}}'" if extras else "null::varchar"} as _extra,
            money_rounded,
            coalesce({" and ".join(_conditions(contract, rules))}, false) as is_valid
        from (select "row", money_rounded, from_json(value, '{structure}') as event from matched)"""


def _json_type(field: Field) -> str:
    if field.kind == "lines":
        return "[{" + ",".join(f'"{line.name}":{_json_type(line)}' for line in field.lines) + "}]"
    if field.kind == "texts":
        return '["VARCHAR"]'
    return f'"{_JSON_TYPES.get(field.kind, "VARCHAR")}"'


def _cast(field: Field) -> str:
    name = f'event."{field.name}"'
    if field.kind == "time":
        return f"epoch_us(try_cast({name} as timestamptz))"
    return f"try_cast({name} as date)" if field.kind == "date" else name


def _conditions(contract: Contract, rules: ParseRules) -> list[str]:
    """Rules that no pattern can check: days that exist, times in range, distinct line numbers, exactly one subject."""
    conditions = []
    for field in contract.fields:
        name = f'event."{field.name}"'
        if field.kind == "time" and field.years is None:
            conditions.append(f"{_cast(field)} >= {microseconds(rules.min_event_time)}")
        elif field.kind == "time" and field.years is not None:
            low, high = (datetime(year, 1, 1, tzinfo=UTC) for year in (field.years[0], field.years[1] + 1))
            conditions.append(f"{_cast(field)} between {microseconds(low)} and {microseconds(high) - 1}")
        elif field.kind == "date":
            conditions.append(f"({name} is null or {_cast(field)} is not null)")
        elif field.kind == "lines":
            conditions.append(f"(len({name}) = 1 or list_unique([line.line_number for line in {name}]) = len({name}))")
    if contract.one_of:
        present = " + ".join(f'(event."{name}" is not null)::int' for name in contract.one_of)
        conditions.append(f"{present} = 1")
    return conditions
