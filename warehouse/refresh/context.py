"""What the steps of one refresh share: the connection, what has been written so far, and a few statements."""

from dataclasses import dataclass, field
from datetime import date, datetime

import duckdb

from warehouse.storage.closed_days import ClosedDays
from warehouse.storage.connection import columns_of
from warehouse.storage.macros import BEGINNING


@dataclass(frozen=True, slots=True)
class Session:
    """An open warehouse. `blank` names temporary tables that exist and are empty, so that nobody makes them again."""

    connection: duckdb.DuckDBPyConnection
    closed: ClosedDays
    blank: set[str] = field(default_factory=set)
    _columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def columns(self, table: str) -> tuple[str, ...]:
        """A table's columns, asked once: a table's form never changes."""
        if table not in self._columns:
            self._columns[table] = tuple(columns_of(self.connection, table))
        return self._columns[table]

    def forget(self) -> None:
        """After a rollback: what was made in the transaction is gone."""
        self.blank.clear()
        self._columns.clear()


@dataclass(frozen=True, slots=True)
class Clock:
    """The row of `ops.gold_clock`."""

    first_date: date | None = None
    last_date: date | None = None
    calendar_from: date | None = None
    calendar_to: date | None = None
    last_ended_date: date | None = None
    last_final_date: date | None = None


@dataclass(slots=True)
class Context:
    """State of a refresh.

    `clock_before` and `clock` are the days gold spanned and spans. `changed` counts rows written by model, `rows` those
    of inputs and scopes, `moved` holds for each dimension whose facts change keys the earliest instant from which some
    do, `native` which models read native days alone. `taken` names facts of which rows were taken out, `repeated`
    columns of facts (`fct_sales.transaction_id`) of which new rows hold values that rows of their days held already,
    `shown` temporary views that later refreshes will want as tables.
    """

    session: Session
    is_first: bool
    may_lag: bool = False
    lagging: bool = False
    changed: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    moved: dict[str, datetime] = field(default_factory=dict)
    native: dict[str, bool] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    last_closed: dict[str, int] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    clock_before: Clock = field(default_factory=Clock)
    clock: Clock = field(default_factory=Clock)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open warehouse."""
        return self.session.connection

    @property
    def closed(self) -> ClosedDays:
        """Its closed days."""
        return self.session.closed

    def temporary(self, name: str, sql: str) -> int:
        """Makes a temporary table of a query; returns its rows."""
        rows = self.count(f"create or replace temp table {name} as {sql}")
        (self.session.blank.discard if rows else self.session.blank.add)(name)
        return rows

    def found(self, table: str, name: str, sql: str, where: str = "true") -> int:
        """Makes a model's table of a query; returns its rows. All are new, so `temp.<name>` shows them, no copy.

        `where` tells them from special rows that come later.
        """
        rows = self.count(f"create or replace table {table} as {sql}")
        self.connection.execute(f"create temp view {name} as select * from {table} where {where}")
        self.shown.append(name)
        return rows

    def empty(self, name: str, sql: str) -> None:
        """Makes sure that a temporary table of a query's form is there, without a row."""
        if name not in self.session.blank:
            self.connection.execute(f"create or replace temp table {name} as select * from ({sql}) limit 0")
            self.session.blank.add(name)

    def count(self, sql: str) -> int:
        """Runs a statement that says how many rows it wrote."""
        return int(self.connection.execute(sql).fetchall()[0][0])

    def is_native(self, first: int | None) -> bool:
        """Whether native days are enough for who reads no day before the one before `first`."""
        return not self.last_closed or (first is not None and first - 1 > max(self.last_closed.values()))

    def puts_off(self, model: str) -> bool:
        """Whether a model that is due is left to a later refresh; `work.lagging` names those that are."""
        if not self.may_lag:
            self.connection.execute("delete from work.lagging where model = $1", [model])
        elif not self.is_put_off(model):
            self.connection.execute("insert into work.lagging values ($1)", [model])
        self.lagging = self.lagging or self.may_lag
        return self.may_lag

    def is_put_off(self, model: str) -> bool:
        """Whether an earlier refresh left the model to a later one."""
        lags = ("select count(*) from work.lagging where model = $1", [model])
        return self.connection.execute(*lags).fetchall() != [(0,)]

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
