"""What the steps of one refresh share: the connection, what has been written so far, and a few statements."""

from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from warehouse.connection import columns_of
from warehouse.days import ClosedDays
from warehouse.scd2 import BEGINNING


@dataclass(slots=True)
class Context:
    """State of a refresh.

    `changed` counts rows written by model, `rows` those of its inputs and of scopes that were computed, `moved` holds
    for each dimension whose facts change keys the earliest instant from which some do, `native` which models read
    native days alone.
    """

    connection: duckdb.DuckDBPyConnection
    closed: ClosedDays
    is_first: bool
    may_lag: bool = False
    lagging: bool = False
    changed: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    moved: dict[str, datetime] = field(default_factory=dict)
    native: dict[str, bool] = field(default_factory=dict)
    last_closed: dict[str, int] = field(default_factory=dict)

    def temporary(self, name: str, sql: str) -> int:
        """Makes a temporary table of a query; returns its rows."""
        return self.count(f"create or replace temp table {name} as {sql}")

    def count(self, sql: str) -> int:
        """Runs a statement that says how many rows it wrote."""
        return int(self.connection.execute(sql).fetchall()[0][0])

    def is_native(self, first: int | None) -> bool:
        """Whether native days are enough for who reads no day before the one before `first`."""
        return not self.last_closed or (first is not None and first - 1 > max(self.last_closed.values()))

    def special_rows(self, table: str, key: str) -> None:
        """Rows -1 and -2, with text that a person can read."""
        for number, text in ((-1, "unknown"), (-2, "not applicable")):
            values = []
            for column, kind in columns_of(self.connection, table).items():
                if column == key:
                    values.append(str(number))
                elif column == "valid_from":
                    values.append(BEGINNING)
                elif kind == "VARCHAR":
                    values.append(f"'{text}'")
                elif kind == "BOOLEAN":
                    values.append(str(column == "is_current").lower())
                else:
                    values.append("0" if column == "version" else "null")
            self.connection.execute(f"insert into {table} values ({', '.join(values)})")
