"""Dimensions: members are added; histories (SCD2) are recomputed for members that changed or that facts need."""

from warehouse.refresh import scd2, segment_history
from warehouse.refresh.context import Context
from warehouse.registry import Model, of_kind, scoped
from warehouse.storage.closed_days import is_split, table_of


def add_members(context: Context, model: Model) -> None:
    """Adds the members that the dimension does not have yet."""
    key, _, id_column = model.header["key"].partition(": ")
    if not context.is_first and not any(_may_have_new_member(context, read) for read in model.reads):
        return
    keyed = f"surrogate_key(candidates.{id_column}) as {key}, candidates.*" if id_column else "candidates.*"
    sql = f"select {keyed} from (\n{scoped(model.sql)}\n) as candidates"
    if context.is_first:
        context.connection.execute(f"create table {model.full_name} as {sql} limit 0")
        context.add_special_rows(model.full_name, key)
    context.changed[model.full_name] = context.run_count(
        f"insert into {model.full_name} by name {sql} anti join {model.full_name} as stored"
        f" on candidates.{id_column or key} = stored.{id_column or key} and stored.{key} >= 0"
    )


def _may_have_new_member(context: Context, read: str) -> bool:
    if read == "ops.gold_clock":
        now, before = context.clock, context.clock_before
        return (now.calendar_from, now.calendar_to) != (before.calendar_from, before.calendar_to)
    return bool(context.rows.get(read))


def refresh_scd2(context: Context, model: Model) -> None:
    """Stores the new changes and replaces the versions of the affected members.

    Leaves the rows written in `temp.changed_<dimension>`. Leaves in `temp.moved_<dimension>` the time spans in which
    facts need another key.
    """
    run, name, table = context.connection.execute, model.name, table_of(model)
    if context.is_first:
        _create_tables(context, model)
    if is_split(model):
        segment_history.prepare(context, model)
    changes = f"temp.changes_{name}" if is_split(model) else f"work.{name}_changes"
    history = scd2.history_of(model, context.session.columns(changes))
    instant = "null::timestamptz"
    context.create_empty_temp_table(
        f"moved_{name}", f"select '' as {history.id}, {instant} as moved_from, {instant} as moved_to"
    )
    if history.is_by_day:
        affected = segment_history.update(context, model)
    else:
        if context.rows[model.reads[0]]:
            run(f"insert into {history.changes} by name {scoped(model.sql)}")
        affected = _find_affected(context, model, history)
    if affected and history.personal and context.rows[model.reads[0]]:
        run(scd2.blank_personal(history))
    context.changed[model.full_name] = 0
    if context.is_first:
        is_version = f"{history.key} > 0"
        context.changed[model.full_name] = context.create_table(
            table, f"changed_{name}", scd2.versions(history), is_version
        )
        context.add_special_rows(table, history.key)
        if is_split(model):
            context.closed.refresh_view(model)
        return
    if affected:
        context.changed[model.full_name] = context.create_temp_table(f"changed_{name}", scd2.versions(history))
    if affected and not history.is_by_day:
        if context.create_temp_table(f"moved_{name}", scd2.moved(history)):
            context.moved[name] = run(f"select min(moved_from) from temp.moved_{name}").fetchall()[0][0]
        run(
            f"delete from {table}"
            f" where {history.key} > 0 and {history.id} in (select {history.id} from temp.affected_{name})"
        )
    if affected:
        run(f"insert into {table} by name select * from temp.changed_{name}")


def _create_tables(context: Context, model: Model) -> None:
    run, id_column = context.connection.execute, model.header["key"].split(": ")[1]
    run(f"create table work.{model.name}_first_fact ({id_column} varchar, first_fact_at timestamptz)")
    if "previous" in model.header:  # the statement reads the table that it replaces
        run(f"create table {table_of(model)} ({model.header['previous']})")
    if is_split(model):
        context.closed.refresh_view(model)
    else:
        run(f"create table work.{model.name}_changes as {scoped(model.sql)} limit 0")


def _find_affected(context: Context, model: Model, history: scd2.History) -> int:
    """Fills `temp.affected_<dimension>` with the members that changed or have a fact before their first version.

    Returns their number.
    """
    id_column, name = history.id, model.name
    changed = f"select distinct {id_column} from {model.reads[0].replace('silver.', 'temp.silver_')}"
    in_facts = " union all ".join(
        f"select {id_column}, min(event_time) as first_fact_at from temp.staging_{fact.name}"
        f" where {id_column} is not null group by {id_column}"
        for fact in of_kind("fact")
        for member in fact.members
        if member.dimension == name and context.rows[f"staging.{fact.name}"]
    )
    if not in_facts and not context.rows[model.reads[0]]:
        context.create_empty_temp_table(f"affected_{name}", changed)
        return 0
    if not in_facts:
        return context.create_temp_table(f"affected_{name}", changed)
    context.create_temp_table(
        f"in_facts_{name}",
        f"select {id_column}, min(first_fact_at) as first_fact_at from ({in_facts}) group by {id_column}",
    )
    context.connection.execute(
        f"merge into work.{name}_first_fact as stored using temp.in_facts_{name} as new"
        f" on stored.{id_column} = new.{id_column}"
        " when matched and new.first_fact_at < stored.first_fact_at then update set first_fact_at = new.first_fact_at"
        " when not matched then insert by name"
    )
    needed = f"select {id_column} from temp.in_facts_{name}"
    if not context.is_first:
        # a member stays as it is if its first version, inferred or not, covers the fact
        needed += (
            f" as new anti join (select {id_column}, min(valid_from) as known_from from {model.full_name}"
            f"   semi join temp.in_facts_{name} using ({id_column}) where {history.key} > 0 group by {id_column})"
            f" as known on new.{id_column} = known.{id_column} and known.known_from <= new.first_fact_at"
        )
    return context.create_temp_table(f"affected_{name}", f"{changed} union {needed}")
