"""One refresh: takes new silver rows and leaves gold as a rebuild would, in the caller's transaction.

Models by kind:

    staging  temporary: the new rows of a fact, with the ids of its members
    scope    temporary: the affected days or keys that an aggregate recomputes (aggregates.py)
    state    replaced as a whole; a few rows
    members  dimensions without history; members are added (dimensions.py)
    history  SCD2 (scd2.py); facts of members whose versions moved get new keys (facts.py)
    fact     rows are appended; rows that need new keys are removed and go through the same statement (facts.py)
    days     rows of affected keys are recomputed, or the aggregate of new facts is added (aggregates.py)
    table    rebuilt; with `refresh  ended_day` only if facts of an ended day changed or another day ended
    view, macro   created by the first refresh

Basket counts are kept beside the models (basket_counts.py). A rebuild is a refresh from nothing with the same
statements.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

import duckdb

from pipelines.silver.changes import SilverChanges
from warehouse.checks import run_checks
from warehouse.refresh import (
    aggregates,
    basket_counts,
    clv,
    customer_totals,
    dimensions,
    facts,
    restatements,
    segment_history,
    silver_input,
)
from warehouse.refresh.context import Clock, Context, Session
from warehouse.registry import Model, of_kind, registry, scoped
from warehouse.storage.closed_days import CREATE

_CLOCK = ", ".join(f"{day.name} date" for day in fields(Clock))
_KEEP_REFRESHES, _FORGET_EVERY = 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. `rows_changed` counts the rows written by table, `seconds` the time by step."""

    refresh_id: int
    rows_changed: Mapping[str, int]
    restatements: int
    seconds: Mapping[str, float]
    published: bool


@dataclass(slots=True)
class Refresh:
    """A refresh; after `run`, a report of what it did.

    With `may_defer`, tables with `refresh  ended_day` and wide baskets may be left to a later refresh; `deferred` says
    whether any is. `is_large` says that statements take long enough to import scipy meanwhile.
    """

    session: Session
    refresh_id: int
    now: datetime
    published: Path  # the file of the refresh before, which may not exist
    may_defer: bool = False
    is_large: bool = False
    restated: int = 0
    deferred: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open warehouse."""
        return self.session.connection

    def run(self, changes: SilverChanges) -> None:
        """Runs all steps, the checks last. Raises CheckFailedError."""
        context = Context(self.session, is_first=self.refresh_id == 1, may_defer=self.may_defer)
        self.changed = context.changed
        first_fact = of_kind("fact")[0]
        with self._timed("load"):
            self._load(context, changes)
        for model in registry():
            if model is first_fact and self.is_large and not self.may_defer:
                clv.import_early()
            with self._timed(model.full_name):
                self._refresh_model(context, model)
        with self._timed("baskets"):
            basket_counts.update(context)
        with self._timed("restatements"):
            self.restated = restatements.record(context, self.refresh_id, self.now)
            if context.is_first and self.published.exists():
                self.restated = restatements.carry_over(context, self.published, self.refresh_id, self.now)
        with self._timed("checks"):
            self._check(context)
        for view in context.temp_views:
            self.connection.execute(f"drop view temp.{view}")
        self.deferred = context.deferred
        if self.refresh_id % _FORGET_EVERY == 0:
            for table in ("gold.refreshes", "ops.gold_warnings"):
                self.connection.execute(f"delete from {table} where refresh_id <= {self.refresh_id - _KEEP_REFRESHES}")
        self.connection.execute(
            "insert into gold.refreshes by name select $1::bigint as refresh_id, $2::timestamptz as refreshed_at,"
            " map_from_entries($3::struct(k varchar, v bigint)[]) as silver_snapshots,"
            " map_from_entries($4::struct(k varchar, v bigint)[]) as rows_changed",
            [self.refresh_id, self.now, _entries(changes.snapshots), _entries(context.changed)],
        )

    def _load(self, context: Context, changes: SilverChanges) -> None:
        run = self.connection.execute
        if context.is_first:
            self._create_tables()
        silver_input.load(context, changes)
        run(f"create or replace temp table replaced_gold_clock ({_CLOCK})")
        if not context.is_first:
            run("insert into temp.replaced_gold_clock by name select * from ops.gold_clock")
            context.clock_before = _clock(self.connection)
        context.last_closed = context.closed.last_keys()

    def _create_tables(self) -> None:
        """Creates the schemas and the tables that no model creates."""
        run = self.connection.execute
        for schema in ("gold", "marts", "ops", "work"):
            run(f"create schema if not exists {schema}")
        run(CREATE)
        run(
            "create table gold.refreshes (refresh_id bigint, refreshed_at timestamptz,"
            " silver_snapshots map(varchar, bigint), rows_changed map(varchar, bigint))"
        )
        run("create table ops.gold_warnings (refresh_id bigint, model varchar, claim varchar, rows bigint)")
        run("create table work.lagging (model varchar)")
        for module in (silver_input, restatements, segment_history, basket_counts, clv, customer_totals):
            module.create(self.connection)

    def _refresh_model(self, context: Context, model: Model) -> None:
        match model.kind:
            case "staging":
                self._stage(context, model)
            case "state":
                self._replace_state(context, model)
            case "members":
                dimensions.add_members(context, model)
            case "history":
                dimensions.refresh_scd2(context, model)
            case "fact":
                facts.append_facts(context, model)
            case "scope":
                pass  # computed by the first aggregate that needs it
            case "days":
                aggregates.refresh_aggregate(context, model)
            case "table":
                aggregates.rebuild_table(context, model)
            case "view":
                if context.is_first:
                    self.connection.execute(f"create or replace view {model.full_name} as {model.sql}")
            case "macro":
                if context.is_first:
                    self.connection.execute(model.sql)
            case kind:
                raise ValueError(f"{model.path}: unknown kind `{kind}` in `materialize`")

    def _stage(self, context: Context, model: Model) -> None:
        name, sql = f"staging_{model.name}", scoped(model.sql)
        context.rows[model.full_name] = 0
        if any(context.rows[read] for read in model.reads):
            context.rows[model.full_name] = context.create_temp_table(name, sql)
        else:
            context.create_empty_temp_table(name, sql)
        silver_input.keep_waiting(context, model)

    def _replace_state(self, context: Context, model: Model) -> None:
        if context.is_first:
            self.connection.execute(f"create table {model.full_name} as {scoped(model.sql)}")
        else:
            self.connection.execute(f"truncate {model.full_name}")
            self.connection.execute(f"insert into {model.full_name} by name {scoped(model.sql)}")
        if model.name == "gold_clock":
            context.clock = _clock(self.connection)

    def _check(self, context: Context) -> None:
        # Views are computed when read, so a refresh does not check them: `animeverse verify` does.
        written = [model for model in registry() if context.changed.get(model.full_name)]
        found = run_checks(self.connection, written, reads_open_days_only=context.reads_open_days_only)
        for check, rows in found:
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


def has_deferred(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a refresh deferred a table or the count of baskets."""
    deferred = connection.execute("select count(*) from work.lagging").fetchall() != [(0,)]
    return deferred or basket_counts.has_deferred(connection)
