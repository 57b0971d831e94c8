"""Dimensions: members are added, histories computed anew for the keys that changed or that facts need."""

from warehouse.refresh import scd2
from warehouse.refresh import segment_history as segments
from warehouse.refresh.context import Context
from warehouse.registry import Model, of_kind, scoped
from warehouse.storage.closed_days import is_split, table_of


def add_members(context: Context, model: Model) -> None:
    """Adds the members that are not there yet."""
    key, _, id_column = model.header["key"].partition(": ")
    if not context.is_first and not any(_is_news(context, read) for read in model.reads):
        return
    keyed = f"surrogate_key(candidates.{id_column}) as {key}, candidates.*" if id_column else "candidates.*"
    sql = f"select {keyed} from (\n{scoped(model.sql)}\n) as candidates"
    if context.is_first:
        context.connection.execute(f"create table {model.full_name} as {sql} limit 0")
        context.special_rows(model.full_name, key)
    context.changed[model.full_name] = context.count(
        f"insert into {model.full_name} by name {sql} anti join {model.full_name} as held"
        f" on candidates.{id_column or key} = held.{id_column or key} and held.{key} >= 0"
    )


def _is_news(context: Context, read: str) -> bool:
    """Whether what a dimension reads may hold a new member."""
    if read == "ops.gold_clock":
        span, before = context.clock, context.clock_before
        return (span.calendar_from, span.calendar_to) != (before.calendar_from, before.calendar_to)
    return bool(context.rows.get(read))


def refresh_scd2(context: Context, model: Model) -> None:
    """Takes new changes in and replaces the versions of the keys concerned.

    Leaves what was written in `temp.changed_<dimension>`, and in `temp.moved_<dimension>` the spans of time whose facts
    have to be keyed anew.
    """
    run, name, table = context.connection.execute, model.name, table_of(model)
    if context.is_first:
        _found(context, model)
    if is_split(model):
        segments.prepare(context, model)
    changes = f"temp.changes_{name}" if is_split(model) else f"work.{name}_changes"
    history = scd2.history_of(model, context.session.columns(changes))
    instant = "null::timestamptz"
    context.empty(f"moved_{name}", f"select '' as {history.id}, {instant} as moved_from, {instant} as moved_to")
    if history.is_by_day:
        touched = segments.update(context, model)
    else:
        if context.rows[model.reads[0]]:
            run(f"insert into {history.changes} by name {scoped(model.sql)}")
        touched = _touched(context, model, history)
    if touched and history.personal and context.rows[model.reads[0]]:
        run(scd2.blank_personal(history))
    context.changed[model.full_name] = 0
    if context.is_first:
        is_version = f"{history.key} > 0"
        context.changed[model.full_name] = context.found(table, f"changed_{name}", scd2.versions(history), is_version)
        context.special_rows(table, history.key)
        if is_split(model):
            context.closed.refresh_view(model)
        return
    if touched:
        context.changed[model.full_name] = context.temporary(f"changed_{name}", scd2.versions(history))
    if touched and not history.is_by_day:
        if context.temporary(f"moved_{name}", scd2.moved(history)):
            context.moved[name] = run(f"select min(moved_from) from temp.moved_{name}").fetchall()[0][0]
        run(
            f"delete from {table}"
            f" where {history.key} > 0 and {history.id} in (select {history.id} from temp.affected_{name})"
        )
    if touched:
        run(f"insert into {table} by name select * from temp.changed_{name}")


def _found(context: Context, model: Model) -> None:
    run, id_column = context.connection.execute, model.header["key"].split(": ")[1]
    run(f"create table work.{model.name}_first_fact ({id_column} varchar, first_fact_at timestamptz)")
    if "previous" in model.header:  # it reads what it will replace
        run(f"create table {table_of(model)} ({model.header['previous']})")
    if is_split(model):
        context.closed.refresh_view(model)
    else:
        run(f"create table work.{model.name}_changes as {scoped(model.sql)} limit 0")


def _touched(context: Context, model: Model, history: scd2.History) -> int:
    """Fills `temp.affected_<dimension>`: keys that changed, and those that facts need earlier than they are known."""
    id_column, name = history.id, model.name
    changed = f"select distinct {id_column} from {model.reads[0].replace('silver.', 'temp.silver_')}"
    seen = " union all ".join(
        f"select {id_column}, min(event_time) as first_fact_at from temp.staging_{fact.name}"
        f" where {id_column} is not null group by {id_column}"
        for fact in of_kind("fact")
        for member in fact.members
        if member.dimension == name and context.rows[f"staging.{fact.name}"]
    )
    if not seen and not context.rows[model.reads[0]]:
        context.empty(f"affected_{name}", changed)
        return 0
    if not seen:
        return context.temporary(f"affected_{name}", changed)
    context.temporary(
        f"seen_{name}", f"select {id_column}, min(first_fact_at) as first_fact_at from ({seen}) group by {id_column}"
    )
    context.connection.execute(
        f"merge into work.{name}_first_fact as held using temp.seen_{name} as seen"
        f" on held.{id_column} = seen.{id_column}"
        " when matched and seen.first_fact_at < held.first_fact_at then update set first_fact_at = seen.first_fact_at"
        " when not matched then insert by name"
    )
    needed = f"select {id_column} from temp.seen_{name}"
    if not context.is_first:
        # members whose first version, inferred or real, covers the fact stay as they are
        needed += (
            f" as seen anti join (select {id_column}, min(valid_from) as known_from from {model.full_name}"
            f"   semi join temp.seen_{name} using ({id_column}) where {history.key} > 0 group by {id_column}) as known"
            f" on seen.{id_column} = known.{id_column} and known.known_from <= seen.first_fact_at"
        )
    return context.temporary(f"affected_{name}", f"{changed} union {needed}")
