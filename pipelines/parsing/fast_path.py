"""The fast road: values that match a learned layout are read by DuckDB, thousands at a time. All else is left alone.

It takes a value only where the outcome is certain to be that of the exact road: the layout's pattern proves the text
plain (pipelines.parsing.layouts), and the query below leaves out what no pattern can prove. It rejects nothing.
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
from pipelines.parsing.columns import events_schema, frame
from pipelines.parsing.exact_path import ExactReader, Rejected
from pipelines.parsing.layouts import CompiledLayout, Layouts
from pipelines.parsing.values import ParseRules, microseconds

_TRIES = 24  # samples looked at in a batch
_FEW, _FEW_IN = 64, 500  # no learning for fewer values than this, or than one in this many
_CHUNK = 16_384  # values that one thread of DuckDB takes at a time
_JSON_TYPES = {"integer": "BIGINT", "money": "DECIMAL(18,4)", "boolean": "BOOLEAN"}
_lock = Lock()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One database in memory for the process, with nothing in it; it writes no file and asks no network."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2,
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=config)


def read_plain(contract: Contract, texts: pl.DataFrame, rules: ParseRules, layouts: Layouts) -> pl.DataFrame:
    """Events of the texts (row, value) that are certain to be valid, as events_schema says, by rising row.

    Raises duckdb.Error, pl.exceptions.PolarsError or pa.ArrowException when a library refuses: the caller then reads
    everything exactly.
    """
    matched: dict[tuple[str, ...], list[pl.DataFrame]] = {}
    for screen, rows in _screened(contract, texts, rules, layouts):
        matched.setdefault(screen.extras, []).append(rows)
    events = [_typed(contract, pl.concat(frames), extras, rules) for extras, frames in matched.items()]
    if not events:
        return frame(events_schema(contract).empty_table())
    return pl.concat(events).sort("row") if len(events) > 1 or not events[0]["row"].is_sorted() else events[0]


def _screened(
    contract: Contract, texts: pl.DataFrame, rules: ParseRules, layouts: Layouts
) -> list[tuple[CompiledLayout, pl.DataFrame]]:
    """Rows by the layout that they match; learns layouts while too many match none."""
    left = texts.filter(pl.col("value").is_not_null())
    found: list[tuple[CompiledLayout, pl.DataFrame]] = []

    def try_out(screen: CompiledLayout) -> None:
        nonlocal left
        hits = left["value"].str.contains(screen.pattern)
        rows = left.filter(hits)
        if rows.height:
            rounded = pl.lit(False) if screen.unrounded is None else ~pl.col("value").str.contains(screen.unrounded)
            found.append((screen, rows.with_columns(rounded.alias("money_rounded"))))
            left = left.filter(~hits)
        layouts.note(screen, rows.height)

    for screen in layouts.screens(contract, rules):
        if left.height:
            try_out(screen)
    enough = max(_FEW, texts.height // _FEW_IN)
    exact = ExactReader(contract, rules)
    for turn in range(_TRIES):
        if left.height <= enough:
            break
        sample = left["value"][left.height * turn // _TRIES]
        valid = not isinstance(exact.read(sample.encode()), Rejected)
        new = layouts.learn(contract, rules, sample) if valid else None
        if new is not None:
            try_out(new)
    return found


def _typed(contract: Contract, rows: pl.DataFrame, extras: tuple[str, ...], rules: ParseRules) -> pl.DataFrame:
    """The events among rows (row, value, money_rounded) that match a layout with these extra fields."""
    arrow = rows.to_arrow(compat_level=pl.CompatLevel.newest())
    plain = pa.Table.from_batches(arrow.to_batches(max_chunksize=_CHUNK), arrow.schema)
    with _lock:
        connection = _database().cursor()
    try:
        connection.register("plain", plain)
        table = connection.sql(_query(contract, extras, rules)).to_arrow_table()
    finally:
        connection.close()
    if not pc.all(table.column("sound"), min_count=0).as_py():
        table = table.filter(table.column("sound"))
    schema = events_schema(contract)
    return frame(table.select(schema.names).cast(schema))


def _query(contract: Contract, extras: tuple[str, ...], rules: ParseRules) -> str:
    """Reads `plain` (row, value, money_rounded). Names come from contracts and from layouts, whose names hold no quote.

    What is not sound is a column and no filter: pushed down, a filter would read each value a second time.
    """
    types = [(field.name, _json_type(field)) for field in contract.fields] + [(name, '"JSON"') for name in extras]
    structure = "{" + ",".join(f'"{name}":{json_type}' for name, json_type in types) + "}"
    members = " || ',' || ".join(f"""'"{name}":' || event."{name}\"""" for name in extras)
    columns = [f'{_cast(field)} as "{field.name}"' for field in contract.fields]
    return f"""
        select "row", {", ".join(columns)},
            {f"'{{' || {members} || '}}'" if extras else "null::varchar"} as _extra,
            money_rounded,
            coalesce({" and ".join(_sound(contract, rules))}, false) as sound
        from (select "row", money_rounded, from_json(value, '{structure}') as event from plain)"""


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


def _sound(contract: Contract, rules: ParseRules) -> list[str]:
    """What a pattern cannot prove: days that exist, times in range, each line_number once, exactly one subject."""
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
