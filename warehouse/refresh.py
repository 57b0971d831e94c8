"""One refresh: new silver rows in, all of gold as if it had been rebuilt, in the caller's transaction.

How each kind of model is kept:

    lines    temporary: the new rows of a fact, as its natural columns
    scope    temporary: which days or keys are to be computed anew
    state    replaced whole; a row or a handful
    members  rows whose key is not there yet are added (conformed dimensions, type 1)
    history  SCD2 by scd2.py; facts of members whose versions moved are keyed anew
    fact     rows are appended; those that moved are taken out and go through the same statement again
    days     rows of the scope's keys are deleted and computed anew
    table    computed whole; with `refresh  ended_day` only when an ended day's facts changed, or another day ended
    view, macro   put in place when the models change

A rebuild is a refresh from nothing: no statement here knows the difference.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines.changes import SilverChanges
from pipelines.contracts import CONTRACTS
from pipelines.schemas import POS_ITEMS, silver_schema
from warehouse import restatements, scd2, segments
from warehouse.checks import run_checks
from warehouse.connection import columns_of
from warehouse.days import ClosedDays, is_split, table_of
from warehouse.models import Model, names, of_kind, registry, scoped
from warehouse.python_models import PYTHON_MODELS

_CLOCK = (
    "first_date date, last_date date, calendar_from date, calendar_to date, last_ended_date date, last_final_date date"
)
SILVER: Mapping[str, pa.Schema] = {
    "pos_items": POS_ITEMS,
    **{contract.table: silver_schema(topic) for topic, contract in CONTRACTS.items()},
}


@dataclass(slots=True)
class Refresh:
    """A refresh at work. `changed` counts the rows written by model, `moved` the spans in which facts changed keys."""

    connection: duckdb.DuckDBPyConnection
    closed: ClosedDays
    refresh_id: int
    now: datetime
    is_first: bool
    changed: dict[str, int] = field(default_factory=dict)
    restated: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)  # of silver tables and lines
    _moved: dict[str, datetime] = field(default_factory=dict)  # dimension -> earliest moved_from
    _last_closed: dict[str, int] = field(default_factory=dict)
    _native: dict[str, bool] = field(default_factory=dict)

    def run(self, changes: SilverChanges) -> None:
        """All steps, checks last. Raises CheckFailedError."""
        with self._timed("load"):
            self._load(changes)
        for model in registry():
            with self._timed(model.full_name):
                self._keep(model)
        with self._timed("restatements"):
            self.restated = restatements.record(self.connection, self.refresh_id, self.now, self.changed)
        with self._timed("checks"):
            self._check()
        self.connection.execute(
            "insert into gold.refreshes by name select $1::bigint as refresh_id, $2::timestamptz as refreshed_at,"
            " map_from_entries($3::struct(k varchar, v bigint)[]) as silver_snapshots,"
            " map_from_entries($4::struct(k varchar, v bigint)[]) as rows_changed",
            [self.refresh_id, self.now, _entries(changes.snapshots), _entries(self.changed)],
        )

    # what comes in

    def _load(self, changes: SilverChanges) -> None:
        run = self.connection.execute
        if self.is_first:
            self._found()
        for name, schema in SILVER.items():
            rows = changes.tables.get(name)
            rows = schema.empty_table() if rows is None else rows
            if name in ("pos_items", "pos_transactions"):
                rows = self._with_waiting(name, rows, schema)
            self.connection.register(f"silver_{name}", rows)
            self._rows[f"silver.{name}"] = rows.num_rows
        self.connection.register("silver_partitions", changes.partitions)
        run(f"create or replace temp table touched_clock ({_CLOCK})")
        if not self.is_first:
            run("insert into temp.touched_clock by name select * from ops.gold_clock")
        self._last_closed = self.closed.last_keys()

    def _found(self) -> None:
        """Schemas and the tables that no model makes."""
        run = self.connection.execute
        for schema in ("gold", "marts", "ops", "work"):
            run(f"create schema if not exists {schema}")
        run(
            "create table gold.refreshes (refresh_id bigint, refreshed_at timestamptz,"
            " silver_snapshots map(varchar, bigint), rows_changed map(varchar, bigint))"
        )
        run("create table ops.gold_warnings (refresh_id bigint, model varchar, claim varchar, rows bigint)")
        restatements.create(self.connection)
        segments.create(self.connection)

    def _with_waiting(self, name: str, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        """New rows and those that still wait for the other half of their event: lines for a head or a head for lines."""
        run = self.connection.execute
        if self.is_first:
            self.connection.register("nothing", schema.empty_table())
            run(f"create table work.waiting_{name} as select * from nothing")
            self.connection.unregister("nothing")
            return rows
        if run(f"select count(*) from work.waiting_{name}").fetchall() == [(0,)]:
            return rows
        waiting = self.connection.sql(f"select * from work.waiting_{name}").to_arrow_table()
        run(f"truncate work.waiting_{name}")
        return pa.concat_tables([rows.select(schema.names).cast(schema), waiting.cast(schema)])

    def _keep_waiting(self) -> None:
        """Notes heads without lines and lines without head, which happens when a reader sees silver between commits."""
        run = self.connection.execute
        for name, other in (("pos_items", "pos_transactions"), ("pos_transactions", "pos_items")):
            run(
                f"insert into work.waiting_{name} by name select {', '.join(SILVER[name].names)}"
                f" from temp.silver_{name} anti join temp.silver_{other} using (event_id)"
            )

    # how each kind is kept

    def _keep(self, model: Model) -> None:
        match model.kind:
            case "lines":
                self._lines(model)
            case "state":
                self._state(model)
            case "members":
                self._members(model)
            case "history":
                self._history(model)
            case "fact":
                self._fact(model)
            case "scope":
                pass  # computed when the model that it bounds asks for it
            case "days":
                self._days(model)
            case "table":
                self._table(model)
            case "view":
                if self.is_first:
                    self.connection.execute(f"create or replace view {model.full_name} as {model.sql}")
            case "macro":
                if self.is_first:
                    self.connection.execute(model.sql)
            case kind:
                raise ValueError(f"{model.path}: nothing knows how to keep a {kind}")

    def _lines(self, model: Model) -> None:
        self._temporary(f"lines_{model.name}", scoped(model.sql))
        if model.name == "fct_sales" and self._rows["silver.pos_items"] + self._rows["silver.pos_transactions"]:
            self._keep_waiting()

    def _state(self, model: Model) -> None:
        if self.is_first:
            self.connection.execute(f"create table {model.full_name} as {scoped(model.sql)}")
            return
        self.connection.execute(f"delete from {model.full_name}")
        self.connection.execute(f"insert into {model.full_name} by name {scoped(model.sql)}")

    def _members(self, model: Model) -> None:
        key, _, id_column = model.header["key"].partition(": ")
        inputs = [read for read in model.reads if not read.startswith("seeds.")]
        if not self.is_first and not any(self._rows.get(read, 0) or read.startswith("ops.") for read in inputs):
            return
        keyed = f"surrogate_key(candidates.{id_column}) as {key}, candidates.*" if id_column else "candidates.*"
        sql = f"select {keyed} from (\n{scoped(model.sql)}\n) as candidates"
        if self.is_first:
            self.connection.execute(f"create table {model.full_name} as {sql} limit 0")
            self._special_rows(model.full_name, key)
        self.changed[model.full_name] = self._count(
            f"insert into {model.full_name} by name {sql} anti join {model.full_name} as held"
            f" on candidates.{id_column or key} = held.{id_column or key} and held.{key} >= 0"
        )

    def _history(self, model: Model) -> None:
        run, name = self.connection.execute, model.name
        changes = f"work.{name}_changes"
        if "held" in model.header:
            segments.prepare(self.connection)
            if self.is_first:  # it reads what it will replace
                run(f"create table {model.full_name} ({model.header['held']})")
        if self.is_first:
            run(f"create table {changes} as {scoped(model.sql)} limit 0")
        history = scd2.history_of(model, list(columns_of(self.connection, changes)))
        if self.is_first:
            run(f"create table work.{name}_first_fact ({history.id} varchar, first_fact_at timestamptz)")
        run(
            f"create or replace temp table moved_{name}"
            f" ({history.id} varchar, moved_from timestamptz, moved_to timestamptz)"
        )
        if "scope" in model.header:
            touched = segments.update(self.connection, model)
        else:
            run(f"insert into {changes} by name {scoped(model.sql)}")
            touched = self._touched(model, history)
        if touched and history.personal:
            run(scd2.blank_personal(history))
        self.changed[model.full_name] = 0
        if touched or self.is_first:
            self.changed[model.full_name] = self._temporary(f"versions_{name}", scd2.versions(history))
        if self.is_first:
            run(f"create or replace table {model.full_name} as select * from temp.versions_{name}")
            self._special_rows(model.full_name, history.key)
        elif touched:
            self._count(f"insert into temp.moved_{name} {scd2.moved(history)}")
            earliest = run(f"select min(moved_from) from temp.moved_{name}").fetchall()[0][0]
            if earliest is not None:
                self._moved[name] = earliest
            run(
                f"delete from {model.full_name}"
                f" where {history.key} > 0 and {history.id} in (select {history.id} from temp.touched_{name})"
            )
            run(f"insert into {model.full_name} by name select * from temp.versions_{name}")

    def _touched(self, model: Model, history: scd2.History) -> int:
        """Fills `temp.touched_<dimension>`: keys that changed, and those that facts need earlier than they are known."""
        id_column, source = history.id, model.reads[0].replace("silver.", "temp.silver_")
        seen = " union all ".join(
            f"select {id_column}, min(event_time) as first_fact_at from temp.lines_{fact.name}"
            f" where {id_column} is not null group by {id_column}"
            for fact in of_kind("fact")
            for member in fact.members
            if member.dimension == model.name and (self._rows[f"lines.{fact.name}"] or self.is_first)
        )
        changed = f"select distinct {id_column} from {source}"
        if not seen:
            return self._temporary(f"touched_{model.name}", changed)
        self._temporary(
            f"seen_{model.name}", f"select {id_column}, min(first_fact_at) as first_fact_at from ({seen}) group by all"
        )
        self.connection.execute(
            f"merge into work.{model.name}_first_fact as held using temp.seen_{model.name} as seen"
            f" on held.{id_column} = seen.{id_column}"
            " when matched and seen.first_fact_at < held.first_fact_at"
            "   then update set first_fact_at = seen.first_fact_at"
            " when not matched then insert by name"
        )
        if self.is_first:
            return self._temporary(
                f"touched_{model.name}", f"{changed} union select {id_column} from temp.seen_{model.name}"
            )
        return self._temporary(
            f"touched_{model.name}",
            f"""{changed} union
            select seen.{id_column} from temp.seen_{model.name} as seen
            left join (
                select {id_column}, min(valid_from) as known_from
                from {model.full_name} semi join temp.seen_{model.name} using ({id_column})
                where {history.key} > 0
                group by {id_column}
            ) as known using ({id_column})
            where known_from is null or seen.first_fact_at < known_from""",
        )

    def _fact(self, model: Model) -> None:
        moved = {member.dimension: member for member in model.members if member.dimension in self._moved}
        source = f"temp.lines_{model.name}"
        if moved and self._take_out(model):
            source = f"temp.rows_{model.name}"
        body = scoped(model.sql, native=True).replace(f"temp.lines_{model.name} ", f"{source} ")
        table = table_of(model)
        self.changed[model.full_name] = self._temporary(f"changed_{model.name}", body)
        if self.is_first:
            self.connection.execute(f"create table {table} as select * from temp.changed_{model.name} limit 0")
            self.closed.show(model.name)
        if self.changed[model.full_name]:
            self.connection.execute(f"insert into {table} by name select * from temp.changed_{model.name}")

    def _take_out(self, model: Model) -> bool:
        """Takes the rows that moved out of the fact and puts them, with the new ones, in `temp.rows_<fact>`."""
        run, name = self.connection.execute, model.name
        hits = []
        for member in model.members:
            if member.dimension not in self._moved:
                continue
            start = f"timestamptz '{self._moved[member.dimension].isoformat(sep=' ')}'"
            hits.append(
                f"select fact.{{what}} from {{fact}} as fact join temp.moved_{member.dimension} as moved"
                f" on fact.{member.id_column} = moved.{member.id_column}"
                f" and fact.{member.at} >= moved.moved_from and fact.{member.at} < moved.moved_to"
                f" where fact.{member.at} >= {start}"
            )
        if name in self._last_closed:
            found = " union ".join(hit.format(what="date_key", fact=f"gold.{name}") for hit in hits)
            self.closed.reopen(name, [key for (key,) in run(found).fetchall()])
        if not self._temporary("taken", " union ".join(hit.format(what="rowid", fact=f"work.{name}") for hit in hits)):
            return False
        columns = ", ".join(columns_of(self.connection, f"temp.lines_{name}"))
        self._temporary(
            f"rows_{name}",
            f"select {columns} from temp.lines_{name} union all by name"
            f" select {columns} from work.{name} where rowid in (select rowid from temp.taken)",
        )
        run(f"delete from work.{name} where rowid in (select rowid from temp.taken)")
        return True

    def _days(self, model: Model) -> None:
        run, table, temporary = self.connection.execute, table_of(model), f"changed_{model.name}"
        scope, keys = _scope(model)
        if self.is_first and "held" in model.header:  # it reads what it will replace
            run(f"create table {table} ({model.header['held']})")
            self.closed.show(model.name)
        rows = self._scope_rows(scope)
        if "restates" in model.header:
            before = f"select held.* from {table} as held semi join temp.{scope} using ({', '.join(keys)})"
            empty = f"select null::date as date, {', '.join(f'0 as {kpi}' for kpi in names(model.header['restates']))} limit 0"
            run(f"create or replace temp table before_{model.name} as {empty if self.is_first else before}")
        self.changed[model.full_name] = 0
        if rows or self.is_first:
            first = self._first_day(scope)
            if model.name in self._last_closed:
                days = run(f"select distinct date_key from temp.{scope}").fetchall()
                self.closed.reopen(model.name, [key for (key,) in days])
            native = self._native[model.full_name] = self._is_native(first)
            self.changed[model.full_name] = self._temporary(temporary, scoped(model.sql, native=native))
        else:
            run(f"create or replace temp table {temporary} as select * from {table} limit 0")
        if self.is_first:
            run(f"create or replace table {table} as select * from temp.{temporary}")
            if is_split(model):
                self.closed.show(model.name)
        elif rows:
            same = " and ".join(f"held.{key} = scope.{key}" for key in keys)
            run(f"delete from {table} as held using temp.{scope} as scope where {same}")
            run(f"insert into {table} by name select * from temp.{temporary}")
        if "clock" in model.header:
            column, condition = model.header["clock"].split(": ", 1)
            run(
                f"update {table} set {column} = coalesce({condition}, false) from ops.gold_clock"
                f" where {column} <> coalesce({condition}, false)"
            )

    def _scope_rows(self, scope: str) -> int:
        """Computes a scope unless that is done; returns how many keys it holds."""
        if scope not in self._rows:
            model = next(model for model in of_kind("scope") if f"touched_{model.name}" == scope)
            earliest = min(self._moved.values(), default=None)
            first = None if earliest is None else earliest.year * 10000 + earliest.month * 100 + earliest.day
            sql = scoped(model.sql, native=earliest is None or self._is_native(first))
            self._rows[scope] = self._temporary(scope, sql)
        return self._rows[scope]

    def _first_day(self, scope: str) -> int | None:
        day = "date_key" if "date_key" in columns_of(self.connection, f"temp.{scope}") else "to_date_key(date)"
        first: int | None = self.connection.execute(f"select min({day}) from temp.{scope}").fetchall()[0][0]
        return first

    def _is_native(self, first: int | None) -> bool:
        """Whether native days are enough for who reads no day before the one before `first`."""
        return not self._last_closed or (first is not None and first - 1 > max(self._last_closed.values()))

    def _table(self, model: Model) -> None:
        if not self.is_first and model.header.get("refresh") == "ended_day" and not self._ended_day_changed():
            return
        for read in model.reads:
            if read in PYTHON_MODELS and read not in self._rows:
                PYTHON_MODELS[read](self.connection)
                self._rows[read] = 1
        self.connection.execute(f"create or replace table {model.full_name} as {scoped(model.sql)}")

    def _ended_day_changed(self) -> bool:
        """Whether facts of an ended day changed, or other days than before have ended."""
        if "ended_day" not in self._rows:
            self._scope_rows("touched_dates")
            found = self.connection.execute(
                "select held.last_ended_date is distinct from clock.last_ended_date or coalesce("
                "   (select min(date) from temp.touched_dates) <= clock.last_ended_date, false)"
                " from ops.gold_clock as clock left join temp.touched_clock as held on true"
            ).fetchall()
            self._rows["ended_day"] = int(found[0][0])
        return bool(self._rows["ended_day"])

    # pieces

    def _check(self) -> None:
        written = [model for model in registry() if self.changed.get(model.full_name) or model.kind == "table"]
        warned = run_checks(self.connection, written, native=self._native)
        for check, rows in warned:
            self.connection.execute(
                "insert into ops.gold_warnings values ($1, $2, $3, $4)",
                [self.refresh_id, check.model, check.claim, rows],
            )

    def _temporary(self, name: str, sql: str) -> int:
        """Makes a temporary table of a query; returns its rows."""
        rows = self._count(f"create or replace temp table {name} as {sql}")
        if name.startswith("lines_"):
            self._rows[f"lines.{name.removeprefix('lines_')}"] = rows
        return rows

    def _count(self, sql: str) -> int:
        """Runs a statement that says how many rows it wrote."""
        return int(self.connection.execute(sql).fetchall()[0][0])

    def _special_rows(self, table: str, key: str) -> None:
        """Rows -1 and -2, with text that a person can read."""
        columns = columns_of(self.connection, table)
        for number, text in ((-1, "unknown"), (-2, "not applicable")):
            values = []
            for column, kind in columns.items():
                if column == key:
                    values.append(str(number))
                elif column == "valid_from":
                    values.append(scd2.BEGINNING)
                elif kind == "VARCHAR":
                    values.append(f"'{text}'")
                elif kind == "BOOLEAN":
                    values.append(str(column == "is_current").lower())
                else:
                    values.append("0" if column == "version" else "null")
            self.connection.execute(f"insert into {table} values ({', '.join(values)})")

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began


def _scope(model: Model) -> tuple[str, tuple[str, ...]]:
    """`touched.customer_days(customer_id, date_key)` of a header: the temporary table and the keys."""
    name, _, keys = model.header["scope"].removesuffix(")").partition("(")
    return name.replace(".", "_"), names(keys)


def _entries(values: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"k": key, "v": value} for key, value in sorted(values.items())]
