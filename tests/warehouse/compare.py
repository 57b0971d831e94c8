"""Compares two warehouses: all tables and views of gold and marts, all rows, all keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

# The list of refreshes differs, because a rebuild is one refresh.
_NOT_COMPARED = ("gold.refreshes",)


@dataclass(frozen=True, slots=True)
class Difference:
    """The number of rows of one table that only one warehouse has, with a sample."""

    table: str
    only_left: int
    only_right: int
    sample: tuple[Mapping[str, object], ...]


def read_tables(file: Path, schemas: tuple[str, ...] = ("gold", "marts")) -> dict[str, pa.Table]:
    """All tables and views of the schemas in a published file, by full name."""
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema in (select unnest($1::varchar[])) order by all",
            [list(schemas)],
        ).fetchall()
        return {
            name: connection.sql(f"select * from {name}").to_arrow_table()
            for (name,) in found
            if name not in _NOT_COMPARED
        }


def differences(left: Mapping[str, pa.Table], right: Mapping[str, pa.Table], sample: int = 4) -> list[Difference]:
    """The tables that differ as multisets of rows. A table of one side only differs in all its rows."""
    found: list[Difference] = []
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name in sorted({*left, *right}):
            if name not in left or name not in right:
                rows = (left.get(name) or right[name]).num_rows
                found.append(Difference(name, rows if name in left else 0, rows if name in right else 0, ()))
                continue
            connection.register("l", left[name])
            connection.register("r", right[name])
            counts = connection.execute(
                "select (select count(*) from (select * from l except all select * from r)),"
                " (select count(*) from (select * from r except all select * from l))"
            ).fetchall()
            only_left, only_right = counts[0]
            if only_left or only_right:
                rows = connection.sql(
                    f"(select 'left' as side, * from (select * from l except all select * from r) limit {sample})"
                    f" union all (select 'right', * from (select * from r except all select * from l) limit {sample})"
                ).to_arrow_table()
                found.append(Difference(name, only_left, only_right, tuple(rows.to_pylist())))
    return found
