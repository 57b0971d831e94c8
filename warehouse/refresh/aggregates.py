"""What is computed from facts: rows of touched days and keys anew, whole tables when they are due.

Where a model's header says `adds  COLUMNS`, what the new facts alone give is added to those columns of the rows that
are there, and `then  COLUMN: EXPRESSION` follows from the sums; the other columns are as the new facts give them. That
is right as long as no fact that it reads was taken out, and no new one holds a value of `distinct  FACT.COLUMN`, which
the model counts once a day, that its days had already; else the rows are computed from all facts of their keys.
"""

from warehouse.refresh.context import Context
from warehouse.refresh.python_models import PYTHON_MODELS
from warehouse.registry import Model, names, of_changes, of_kind, scoped
from warehouse.storage.closed_days import is_split, key_of, table_of


def refresh_aggregate(context: Context, model: Model) -> None:
    """Deletes the rows of the scope's keys and computes them anew; leaves them in `temp.changed_<model>`."""
    run, table, temporary = context.connection.execute, table_of(model), f"changed_{model.name}"
    scope, keys = _scope(model)
    if context.is_first and "previous" in model.header:  # it reads what it will replace
        run(f"create table {table} ({model.header['previous']})")
        context.closed.refresh_view(model)
    rows = _scope_rows(context, scope)
    if rows or context.is_first:
        if model.name in context.last_closed:
            days = run(f"select distinct date_key from temp.{scope}").fetchall()
            context.closed.reopen(model, [key for (key,) in days])
        native = context.native[model.full_name] = context.is_native(_first_day(context, scope))
        is_added = native and _can_add(context, model)
        if is_added or "restates" in model.header:
            _keep_before(context, model, table, scope, keys)
        if context.is_first:
            context.changed[model.full_name] = context.found(table, temporary, scoped(model.sql, native=native))
        elif is_added:
            context.changed[model.full_name] = context.temporary(temporary, _sum(context, model, table, keys))
        else:
            context.changed[model.full_name] = context.temporary(temporary, scoped(model.sql, native=native))
    else:
        if "restates" in model.header:
            context.empty(f"replaced_{model.name}", f"select * from {table}")
        context.empty(temporary, f"select * from {table}")
    if context.is_first:
        if is_split(model):
            context.closed.refresh_view(model)
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


def rebuild_table(context: Context, model: Model) -> None:
    """Computes the table whole; one with `refresh  ended_day` when it is due, and may lag behind if that is allowed."""
    made = [(name, PYTHON_MODELS[name]) for name in PYTHON_MODELS if name in model.reads]
    for _, source in made:
        source.note(context)
    if model.header.get("refresh") == "ended_day":
        if not (context.is_first or context.is_put_off(model.full_name) or _ended_day_changed(context)):
            return
        if context.puts_off(model.full_name):
            if context.is_first:
                context.connection.execute(f"create table {model.full_name} as {scoped(model.sql)} limit 0")
            return
    for name, source in made:
        if name not in context.rows:
            source.fill(context)
            context.rows[name] = 1
    context.changed[model.full_name] = context.count(
        f"create or replace table {model.full_name} as {scoped(model.sql)}"
    )


def _can_add(context: Context, model: Model) -> bool:
    """Whether what the new facts add can be added to the rows that are there, in place of counting the days' anew."""
    if context.is_first or "adds" not in model.header:
        return False
    taken = {f"gold.{fact}" for fact in context.taken}
    return taken.isdisjoint(model.reads) and model.header.get("distinct") not in context.repeated


def _sum(context: Context, model: Model, table: str, keys: tuple[str, ...]) -> str:
    """Rows as they were, in `temp.before_…`, and what the new facts alone would give, as one."""
    adds = names(model.header["adds"])
    columns = ", ".join(
        f"coalesce(held.{column} + part.{column}, held.{column}, part.{column}) as {column}"
        if column in adds
        else f"part.{column}"
        for column in context.session.columns(table)
    )
    sql = f"select {columns} from ({of_changes(model.sql)}) as part left join temp.replaced_{model.name} as held"
    sql += f" using ({', '.join(keys)})"
    if "then" in model.header:
        column, expression = model.header["then"].split(": ", 1)
        sql = f"select * replace ({expression} as {column}) from ({sql})"
    return sql


def _keep_before(context: Context, model: Model, table: str, scope: str, keys: tuple[str, ...]) -> None:
    """Keeps the rows that will be replaced, so that restatements can say what they were."""
    sql = f"select held.* from {table} as held semi join temp.{scope} using ({', '.join(keys)})"
    if context.is_first:
        kpis = ", ".join(f"0 as {kpi}" for kpi in names(model.header["restates"]))
        sql = f"select null::date as date, {kpis} limit 0"
    context.temporary(f"replaced_{model.name}", sql)


def _scope(model: Model) -> tuple[str, tuple[str, ...]]:
    """`affected.customer_days(customer_id, date_key)` of a header: the temporary table and the keys."""
    name, _, keys = model.header["scope"].removesuffix(")").partition("(")
    return name.replace(".", "_"), names(keys)


def _scope_rows(context: Context, scope: str) -> int:
    """Computes a scope unless that is done; returns how many keys it holds."""
    if scope not in context.rows:
        model = next(model for model in of_kind("scope") if f"affected_{model.name}" == scope)
        earliest = min(context.moved.values(), default=None)
        first = 99991231 if earliest is None else key_of(earliest)
        context.connection.execute(f"set variable moved_from_key = {first}")
        native = earliest is None or context.is_native(first)
        context.rows[scope] = context.temporary(scope, scoped(model.sql, native=native))
    return context.rows[scope]


def _first_day(context: Context, scope: str) -> int | None:
    if not context.last_closed:
        return None
    first: int | None = context.connection.execute(f"select min(date_key) from temp.{scope}").fetchall()[0][0]
    return first


def _ended_day_changed(context: Context) -> bool:
    """Whether facts of an ended day changed, or other days than before have ended."""
    ended = context.clock.last_ended_date
    if ended != context.clock_before.last_ended_date:
        return True
    if ended is None or not _scope_rows(context, "affected_dates"):
        return False
    ((first,),) = context.connection.execute("select min(date) from temp.affected_dates").fetchall()
    return bool(first <= ended)
