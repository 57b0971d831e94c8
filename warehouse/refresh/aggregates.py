"""Aggregates of facts: the rows of affected days and keys are recomputed; whole tables are rebuilt when they are due.

If a header says `adds  COLUMNS`, the aggregate of the new facts alone is added to those columns of the stored rows.
`then  COLUMN: EXPRESSION` is computed from the sums, and other columns are taken from the new facts. This is correct if
no fact that the model reads was removed, and if no new fact repeats a value of `distinct  FACT.COLUMN`, which the model
counts once a day. Otherwise the rows are recomputed from all facts of their keys.
"""

from warehouse.refresh.context import Context
from warehouse.refresh.python_models import PYTHON_MODELS
from warehouse.registry import Model, names, of_changes, of_kind, scoped
from warehouse.storage.closed_days import is_split, key_of, table_of

_NO_DAY = 99991231  # a date_key after all days


def refresh_aggregate(context: Context, model: Model) -> None:
    """Replaces the rows of the affected keys. Leaves the new rows in `temp.changed_<model>`."""
    run, table, temporary = context.connection.execute, table_of(model), f"changed_{model.name}"
    scope, keys = _scope(model)
    if context.is_first and "previous" in model.header:  # the statement reads the table that it replaces
        run(f"create table {table} ({model.header['previous']})")
        context.closed.refresh_view(model)
    rows = _affected_rows(context, scope)
    if rows or context.is_first:
        if model.name in context.last_closed:
            days = run(f"select distinct date_key from temp.{scope}").fetchall()
            context.closed.reopen(model, [key for (key,) in days])
        is_open = context.reads_open_days_only[model.full_name] = context.open_days_suffice(_first_day(context, scope))
        is_added = is_open and _can_add(context, model)
        if is_added or "restates" in model.header:
            _keep_replaced(context, model, table, scope, keys)
        sql = scoped(model.sql, open_days_only=is_open)
        if context.is_first:
            context.changed[model.full_name] = context.create_table(table, temporary, sql)
        elif is_added:
            context.changed[model.full_name] = context.create_temp_table(temporary, added_sql(context, model, keys))
        else:
            context.changed[model.full_name] = context.create_temp_table(temporary, sql)
    else:
        if "restates" in model.header:
            context.create_empty_temp_table(f"replaced_{model.name}", f"select * from {table}")
        context.create_empty_temp_table(temporary, f"select * from {table}")
    if context.is_first:
        if is_split(model):
            context.closed.refresh_view(model)
    elif rows:
        same = " and ".join(f"stored.{key} = scope.{key}" for key in keys)
        run(f"delete from {table} as stored using temp.{scope} as scope where {same}")
        run(f"insert into {table} by name select * from temp.{temporary}")
    if "clock" in model.header:
        column, condition = model.header["clock"].split(": ", 1)
        run(
            f"update {table} set {column} = coalesce({condition}, false) from ops.gold_clock"
            f" where {column} <> coalesce({condition}, false)"
        )


def rebuild_table(context: Context, model: Model) -> None:
    """Rebuilds the whole table. One with `refresh  ended_day` is rebuilt only when due, and then may be deferred."""
    sources = [(name, PYTHON_MODELS[name]) for name in PYTHON_MODELS if name in model.reads]
    for _, source in sources:
        source.on_refresh(context)
    if model.header.get("refresh") == "ended_day":
        if not (context.is_first or context.is_deferred(model.full_name) or _ended_day_changed(context)):
            return
        if context.defer(model.full_name):
            if context.is_first:
                context.connection.execute(f"create table {model.full_name} as {scoped(model.sql)} limit 0")
            return
    for name, source in sources:
        if name not in context.rows:
            source.fill(context)
            context.rows[name] = 1
    context.changed[model.full_name] = context.run_count(
        f"create or replace table {model.full_name} as {scoped(model.sql)}"
    )


def _can_add(context: Context, model: Model) -> bool:
    if context.is_first or "adds" not in model.header:
        return False
    removed = {f"gold.{fact}" for fact in context.removed_facts}
    return removed.isdisjoint(model.reads) and model.header.get("distinct") not in context.repeated_values


def added_sql(context: Context, model: Model, keys: tuple[str, ...]) -> str:
    """The sum of the stored rows in `temp.replaced_<model>` and the aggregate of the new facts alone."""
    adds = names(model.header["adds"])
    columns = ", ".join(
        f"coalesce(stored.{column} + new.{column}, stored.{column}, new.{column}) as {column}"
        if column in adds
        else f"new.{column}"
        for column in context.session.columns(table_of(model))
    )
    sql = f"select {columns} from ({of_changes(model.sql)}) as new left join temp.replaced_{model.name} as stored"
    sql += f" using ({', '.join(keys)})"
    if "then" in model.header:
        column, expression = model.header["then"].split(": ", 1)
        sql = f"select * replace ({expression} as {column}) from ({sql})"
    return sql


def _keep_replaced(context: Context, model: Model, table: str, scope: str, keys: tuple[str, ...]) -> None:
    """Copies the rows that will be replaced to `temp.replaced_<model>`, which restatements compare with."""
    sql = f"select stored.* from {table} as stored semi join temp.{scope} using ({', '.join(keys)})"
    if context.is_first:
        kpis = ", ".join(f"0 as {kpi}" for kpi in names(model.header["restates"]))
        sql = f"select null::date as date, {kpis} limit 0"
    context.create_temp_table(f"replaced_{model.name}", sql)


def _scope(model: Model) -> tuple[str, tuple[str, ...]]:
    """The temporary table and the keys of a directive like `affected.customer_days(customer_id, date_key)`."""
    name, _, keys = model.header["scope"].removesuffix(")").partition("(")
    return name.replace(".", "_"), names(keys)


def _affected_rows(context: Context, scope: str) -> int:
    """Computes the affected keys unless a model did so before. Returns their number."""
    if scope not in context.rows:
        model = next(model for model in of_kind("scope") if f"affected_{model.name}" == scope)
        earliest = min(context.moved.values(), default=None)
        first = _NO_DAY if earliest is None else key_of(earliest)
        context.connection.execute(f"set variable moved_from_key = {first}")
        is_open = earliest is None or context.open_days_suffice(first)
        context.rows[scope] = context.create_temp_table(scope, scoped(model.sql, open_days_only=is_open))
    return context.rows[scope]


def _first_day(context: Context, scope: str) -> int | None:
    """The first affected day; None if there is none, or if no day is closed, so that it does not matter."""
    if not context.last_closed:
        return None
    first: int | None = context.connection.execute(f"select min(date_key) from temp.{scope}").fetchall()[0][0]
    return first


def _ended_day_changed(context: Context) -> bool:
    """Whether facts of an ended day changed, or the last ended day did."""
    ended = context.clock.last_ended_date
    if ended != context.clock_before.last_ended_date:
        return True
    if ended is None or not _affected_rows(context, "affected_dates"):
        return False
    ((first,),) = context.connection.execute("select min(date) from temp.affected_dates").fetchall()
    return bool(first <= ended)
