"""The silver rows of a refresh as temporary tables, and the rows that wait for the other part of their event.

The new rows of a fact may come from two silver tables (the lines and the head of a sale) that a reader can see between
two commits. A row without its counterpart is stored in `work.waiting_<table>` and read again by the next refresh.
"""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import lines_schema, lines_table, silver_schema
from pipelines.silver.changes import SilverChanges
from warehouse.refresh.context import Context
from warehouse.registry import Model, of_kind

SILVER: Mapping[str, pa.Schema] = {
    **{name.removeprefix("silver."): lines_schema(topic) for topic in CONTRACTS if (name := lines_table(topic))},
    **{contract.table: silver_schema(topic) for topic, contract in CONTRACTS.items()},
}


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The tables of waiting rows, empty."""
    for name in _tables_in_parts():
        connection.register("no_rows", SILVER[name].empty_table())
        connection.execute(f"create table work.waiting_{name} as select * from no_rows")
        connection.unregister("no_rows")


def load(context: Context, changes: SilverChanges) -> None:
    """Registers the new rows as `temp.silver_<table>`, together with those that wait, and counts them."""
    in_parts = _tables_in_parts()
    for name, schema in SILVER.items():
        found = changes.tables.get(name)
        rows = schema.empty_table() if found is None else found.select(schema.names)  # without evolved columns
        if name in in_parts and not context.is_first:
            rows = _with_waiting(context, name, rows)
        _register(context, f"silver_{name}", rows)
        context.rows[f"silver.{name}"] = rows.num_rows
    context.connection.register("silver_partitions", changes.partitions)
    context.connection.execute("create or replace table work.partitions as select * from silver_partitions")


def keep_waiting(context: Context, model: Model) -> None:
    """Stores the silver rows that have no counterpart in the other silver table of a staging model."""
    if len(model.silver_tables) < 2:
        return
    lines, heads = model.silver_tables
    expected = (context.rows[f"silver.{lines}"], context.rows[f"silver.{heads}"])
    if expected == (0, 0):
        return
    (found,) = context.connection.execute(
        f"select count(*), count(distinct hash(event_id, event_time)) from temp.staging_{model.name}"
    ).fetchall()
    if found == expected:
        return
    for name, other in ((lines, heads), (heads, lines)):
        context.connection.execute(
            f"insert into work.waiting_{name} by name select {', '.join(SILVER[name].names)}"
            f" from temp.silver_{name} anti join temp.silver_{other} using (_partition, _offset)"
        )


def _tables_in_parts() -> tuple[str, ...]:
    return tuple(name for model in of_kind("staging") if len(model.silver_tables) > 1 for name in model.silver_tables)


def _with_waiting(context: Context, name: str, rows: pa.Table) -> pa.Table:
    waiting = context.connection.sql(f"select * from work.waiting_{name}").to_arrow_table()
    if waiting.num_rows == 0:
        return rows
    context.connection.execute(f"truncate work.waiting_{name}")
    schema = SILVER[name]
    return pa.concat_tables([rows.cast(schema), waiting.cast(schema)])


def _register(context: Context, name: str, rows: pa.Table) -> None:
    empty = context.session.empty_tables
    if rows.num_rows or name not in empty:
        context.connection.register(name, rows)
        (empty.discard if rows.num_rows else empty.add)(name)
