"""What the steps of one refresh share: the connection, what the refresh wrote so far, and some statements."""

from dataclasses import dataclass, field
from datetime import date, datetime

import duckdb

from warehouse.storage.closed_days import ClosedDays
from warehouse.storage.connection import columns_of
from warehouse.storage.macros import BEGINNING


@dataclass(frozen=True, slots=True)
class Session:
    """An open warehouse. `empty_tables` names the temporary tables that exist and are empty."""

    connection: duckdb.DuckDBPyConnection
    closed: ClosedDays
    empty_tables: set[str] = field(default_factory=set)
    _columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def columns(self, table: str) -> tuple[str, ...]:
        """The columns of a table, cached because they never change."""
        if table not in self._columns:
            self._columns[table] = tuple(columns_of(self.connection, table))
        return self._columns[table]

    def clear(self) -> None:
        """Clears what is cached, because a rollback removes the tables that the transaction created."""
        self.empty_tables.clear()
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
    """State of one refresh.

    - `clock_before`, `clock`: the row of `ops.gold_clock` before the refresh and now
    - `changed`: rows written, by model; `rows`: rows of inputs and of affected keys
    - `moved`: for each dimension with facts that need another key, the earliest time of such a fact
    - `reads_open_days_only`: whether a model read no closed day
    - `removed_facts`: facts whose rows were removed in order to get new keys
    - `repeated_values`: columns (`fct_sales.transaction_id`) of which new rows repeat stored values of their days
    - `last_closed`: the last closed day of each table that has one
    - `temp_views`: temporary views that a first refresh puts in place of temporary tables
    """

    session: Session
    is_first: bool
    may_defer: bool = False
    deferred: bool = False
    changed: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    moved: dict[str, datetime] = field(default_factory=dict)
    reads_open_days_only: dict[str, bool] = field(default_factory=dict)
    removed_facts: set[str] = field(default_factory=set)
    repeated_values: set[str] = field(default_factory=set)
    last_closed: dict[str, int] = field(default_factory=dict)
    temp_views: list[str] = field(default_factory=list)
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

    def create_temp_table(self, name: str, sql: str) -> int:
        """Creates a temporary table from a query. Returns its number of rows."""
        rows = self.run_count(f"create or replace temp table {name} as {sql}")
        (self.session.empty_tables.discard if rows else self.session.empty_tables.add)(name)
        return rows

    def create_table(self, table: str, name: str, sql: str, where: str = "true") -> int:
        """Creates a model's table from a query. Returns its number of rows.

        All rows are new, so `temp.<name>` is a view of them, not a copy. `where` excludes the special rows that are
        added later.
        """
        rows = self.run_count(f"create or replace table {table} as {sql}")
        self.connection.execute(f"create temp view {name} as select * from {table} where {where}")
        self.temp_views.append(name)
        return rows

    def create_empty_temp_table(self, name: str, sql: str) -> None:
        """Creates an empty temporary table with the columns of a query, unless there is one."""
        if name not in self.session.empty_tables:
            self.connection.execute(f"create or replace temp table {name} as select * from ({sql}) limit 0")
            self.session.empty_tables.add(name)

    def run_count(self, sql: str) -> int:
        """Runs a statement whose result is one number, for example the rows that it wrote."""
        return int(self.connection.execute(sql).fetchall()[0][0])

    def open_days_suffice(self, first: int | None) -> bool:
        """Whether a statement that reads no day earlier than the day before `first` needs no closed day."""
        return not self.last_closed or (first is not None and first - 1 > max(self.last_closed.values()))

    def defer(self, model: str) -> bool:
        """Defers a due model if the refresh may. Returns whether it did. `work.lagging` names deferred models."""
        if not self.may_defer:
            self.connection.execute("delete from work.lagging where model = $1", [model])
        elif not self.is_deferred(model):
            self.connection.execute("insert into work.lagging values ($1)", [model])
        self.deferred = self.deferred or self.may_defer
        return self.may_defer

    def is_deferred(self, model: str) -> bool:
        """Whether an earlier refresh deferred the model."""
        found = self.connection.execute("select count(*) from work.lagging where model = $1", [model]).fetchall()
        return found != [(0,)]

    def add_special_rows(self, table: str, key: str) -> None:
        """Adds the rows -1 (unknown) and -2 (not applicable), which have these texts in all text columns."""
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
