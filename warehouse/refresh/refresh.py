"""One refresh: new silver rows in, all of gold as if it had been rebuilt, in the caller's transaction.

How each kind of model is kept:

    staging  temporary: the new rows of a fact, as its natural columns
    scope    temporary: which days or keys are to be computed anew (derived.py)
    state    replaced whole; a row or a handful
    members  rows whose key is not there yet are added: conformed dimensions, type 1 (members.py)
    history  SCD2 by scd2.py; facts of members whose versions moved are keyed anew (members.py)
    fact     rows are appended; those that moved are taken out and go through the same statement again (facts.py)
    days     rows of the scope's keys are deleted and computed anew, or what new facts add is added (derived.py)
    table    computed whole; with `refresh  ended_day` only when an ended day's facts changed, or another day ended
    view, macro   put in place when the models change

What baskets hold is counted beside the models (baskets.py). A rebuild is a refresh from nothing: no statement here
knows the difference.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import POS_ITEMS, silver_schema
from pipelines.silver.changes import SilverChanges
from warehouse.checks import run_checks
from warehouse.refresh import aggregates as derived
from warehouse.refresh import basket_counts as baskets
from warehouse.refresh import clv, facts, restatements
from warehouse.refresh import customer_totals as totals
from warehouse.refresh import dimensions as members
from warehouse.refresh import segment_history as segments
from warehouse.refresh.context import Clock, Context, Session
from warehouse.registry import Model, of_kind, registry, scoped

_CLOCK = ", ".join(f"{day.name} date" for day in fields(Clock))
SILVER: Mapping[str, pa.Schema] = {
    "pos_items": POS_ITEMS,
    **{contract.table: silver_schema(topic) for topic, contract in CONTRACTS.items()},
}
_HALVES = (("pos_items", "pos_transactions"), ("pos_transactions", "pos_items"))


@dataclass(slots=True)
class Refresh:
    """A refresh at work; afterwards, what it did."""

    session: Session
    refresh_id: int
    now: datetime
    published: Path  # the file of the refresh before, which may not be there
    may_lag: bool = False  # tables with `refresh  ended_day`, and wide baskets, may wait for a later refresh
    is_large: bool = False  # so statements take long enough that something can be imported beside them
    restated: int = 0
    lagging: bool = False  # something does
    seconds: dict[str, float] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open warehouse."""
        return self.session.connection

    def run(self, changes: SilverChanges) -> None:
        """All steps, checks last. Raises CheckFailedError."""
        context = Context(self.session, is_first=self.refresh_id == 1, may_lag=self.may_lag)
        self.changed = context.changed
        first_fact = of_kind("fact")[0]
        with self._timed("load"):
            self._load(context, changes)
        for model in registry():
            if model is first_fact and self.is_large and not self.may_lag:
                clv.import_early()
            with self._timed(model.full_name):
                self._keep(context, model)
        with self._timed("baskets"):
            baskets.keep(context)
        with self._timed("restatements"):
            self.restated = restatements.record(context, self.refresh_id, self.now)
            if context.is_first and self.published.exists():
                self.restated = restatements.carry_over(context, self.published, self.refresh_id, self.now)
        with self._timed("checks"):
            self._check(context)
        for view in context.shown:
            self.connection.execute(f"drop view temp.{view}")
        self.lagging = context.lagging
        self.connection.execute(
            "insert into gold.refreshes by name select $1::bigint as refresh_id, $2::timestamptz as refreshed_at,"
            " map_from_entries($3::struct(k varchar, v bigint)[]) as silver_snapshots,"
            " map_from_entries($4::struct(k varchar, v bigint)[]) as rows_changed",
            [self.refresh_id, self.now, _entries(changes.snapshots), _entries(context.changed)],
        )

    def _load(self, context: Context, changes: SilverChanges) -> None:
        run = self.connection.execute
        if context.is_first:
            self._found()
        for name, schema in SILVER.items():
            rows = changes.tables.get(name)
            rows = schema.empty_table() if rows is None else rows.select(schema.names)  # no evolved columns
            if name in ("pos_items", "pos_transactions"):
                rows = self._with_waiting(context, name, rows)
            self._register(f"silver_{name}", rows)
            context.rows[f"silver.{name}"] = rows.num_rows
        self.connection.register("silver_partitions", changes.partitions)
        run("create or replace table work.partitions as select * from silver_partitions")
        run(f"create or replace temp table replaced_gold_clock ({_CLOCK})")
        if not context.is_first:
            run("insert into temp.replaced_gold_clock by name select * from ops.gold_clock")
            context.clock_before = _clock(self.connection)
        context.last_closed = context.closed.last_keys()

    def _register(self, name: str, rows: pa.Table) -> None:
        if rows.num_rows or name not in self.session.blank:
            self.connection.register(name, rows)
            (self.session.blank.discard if rows.num_rows else self.session.blank.add)(name)

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
        run("create table work.lagging (model varchar)")
        restatements.create(self.connection)
        segments.create(self.connection)
        baskets.create(self.connection)
        clv.create(self.connection)
        totals.create(self.connection)

    def _with_waiting(self, context: Context, name: str, rows: pa.Table) -> pa.Table:
        """New rows and those that still wait for the other half of their event: a head for lines, or lines for one."""
        schema = SILVER[name]
        if context.is_first:
            self.connection.register("nothing", schema.empty_table())
            self.connection.execute(f"create table work.waiting_{name} as select * from nothing")
            self.connection.unregister("nothing")
            return rows
        waiting = self.connection.sql(f"select * from work.waiting_{name}").to_arrow_table()
        if waiting.num_rows == 0:
            return rows
        self.connection.execute(f"truncate work.waiting_{name}")
        return pa.concat_tables([rows.select(schema.names).cast(schema), waiting.cast(schema)])

    def _keep_waiting(self, context: Context) -> None:
        """Notes heads without lines and lines without head, which happens when a reader sees silver between commits."""
        if not context.rows["silver.pos_items"] and not context.rows["silver.pos_transactions"]:
            return
        ((lines, heads),) = self.connection.execute(
            "select count(*), count(distinct hash(event_id, event_time)) from temp.staging_fct_sales"
        ).fetchall()
        if (lines, heads) == (context.rows["silver.pos_items"], context.rows["silver.pos_transactions"]):
            return
        for name, other in _HALVES:
            self.connection.execute(
                f"insert into work.waiting_{name} by name select {', '.join(SILVER[name].names)}"
                f" from temp.silver_{name} anti join temp.silver_{other} using (_partition, _offset)"
            )

    def _keep(self, context: Context, model: Model) -> None:
        match model.kind:
            case "staging":
                context.rows[model.full_name] = 0
                if any(context.rows[read] for read in model.reads):
                    context.rows[model.full_name] = context.temporary(f"staging_{model.name}", scoped(model.sql))
                else:
                    context.empty(f"staging_{model.name}", scoped(model.sql))
                if model.name == "fct_sales":
                    self._keep_waiting(context)
            case "state":
                self._state(context, model)
            case "members":
                members.add_members(context, model)
            case "history":
                members.refresh_scd2(context, model)
            case "fact":
                facts.append_facts(context, model)
            case "scope":
                pass  # computed when the model that it bounds asks for it
            case "days":
                derived.refresh_aggregate(context, model)
            case "table":
                derived.rebuild_table(context, model)
            case "view":
                if context.is_first:
                    self.connection.execute(f"create or replace view {model.full_name} as {model.sql}")
            case "macro":
                if context.is_first:
                    self.connection.execute(model.sql)
            case kind:
                raise ValueError(f"{model.path}: nothing knows how to keep a {kind}")

    def _state(self, context: Context, model: Model) -> None:
        if context.is_first:
            self.connection.execute(f"create table {model.full_name} as {scoped(model.sql)}")
        else:
            self.connection.execute(f"truncate {model.full_name}")
            self.connection.execute(f"insert into {model.full_name} by name {scoped(model.sql)}")
        if model.name == "gold_clock":
            context.clock = _clock(self.connection)

    def _check(self, context: Context) -> None:
        # views cost what is stored when they are read: `animeverse verify` checks them
        written = [model for model in registry() if context.changed.get(model.full_name)]
        for check, rows in run_checks(self.connection, written, native=context.native):
            self.connection.execute(
                "insert into ops.gold_warnings values ($1, $2, $3, $4)",
                [self.refresh_id, check.model, check.claim, rows],
            )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began


def _clock(connection: duckdb.DuckDBPyConnection) -> Clock:
    days = ", ".join(day.name for day in fields(Clock))
    ((values),) = connection.execute(f"select {days} from ops.gold_clock").fetchall()
    return Clock(*values)


def _entries(values: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"k": key, "v": value} for key, value in sorted(values.items()) if value]


def is_behind(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a table waits to be computed, or a basket to be counted."""
    return connection.execute("select count(*) from work.lagging").fetchall() != [(0,)] or baskets.is_behind(connection)
