"""Facts: new rows get their keys and are appended. Rows of members whose versions moved get new keys."""

from warehouse.refresh.context import Context
from warehouse.registry import Model, of_kind, scoped
from warehouse.storage.closed_days import table_of


def append_facts(context: Context, model: Model) -> None:
    """Appends the new rows. Leaves all rows written, new or with new keys, in `temp.changed_<fact>`."""
    run, table, temporary = context.connection.execute, table_of(model), f"changed_{model.name}"
    is_moved = any(member.dimension in context.moved for member in model.members)
    if is_moved and _remove_moved(context, model):
        source = f"temp.rows_{model.name}"
        context.removed_facts.add(model.name)
    elif context.rows[f"staging.{model.name}"] or context.is_first:
        source = f"temp.staging_{model.name}"
    else:
        context.create_empty_temp_table(temporary, f"select * from {table}")
        return
    body = scoped(model.sql, open_days_only=True).replace(f"temp.staging_{model.name} ", f"{source} ")
    if context.is_first:
        context.changed[model.full_name] = context.create_table(table, temporary, body)
        context.closed.refresh_view(model)
        return
    context.changed[model.full_name] = context.create_temp_table(temporary, body)
    if model.name not in context.removed_facts:
        _find_repeated_values(context, model)
    run(f"insert into {table} by name select * from temp.{temporary}")


def _find_repeated_values(context: Context, model: Model) -> None:
    """Records each `distinct` column of which the new rows repeat a value that an open day of theirs holds already."""
    new = f"temp.changed_{model.name}"
    for name in {other.header["distinct"] for other in of_kind("days") if "distinct" in other.header}:
        fact, _, column = name.partition(".")
        if fact != model.name:
            continue
        ((first, last),) = context.connection.execute(f"select min(date_key), max(date_key) from {new}").fetchall()
        stored = f"work.{fact} semi join {new} using ({column}) where date_key between {first} and {last}"
        if context.run_count(f"select count(*) from {stored}"):
            context.repeated_values.add(name)


def _remove_moved(context: Context, model: Model) -> bool:
    """Moves the rows that need new keys from the fact to `temp.rows_<fact>`, together with the new rows.

    Returns whether there were any. A row is found by the ids of its members and its time. All rows of an event move
    together, and closed days that hold such rows are reopened. The literal time bound lets DuckDB skip older rows.
    Row ids are not used: DuckDB 2.0 misses committed rows if the ids of the transaction's own rows are searched, too.
    """
    run, name = context.connection.execute, model.name
    queries = []
    for member in model.members:
        if member.dimension not in context.moved:
            continue
        start = f"timestamptz '{context.moved[member.dimension].isoformat(sep=' ')}'"
        queries.append(
            f"select fact.{{what}} from {{fact}} as fact join temp.moved_{member.dimension} as moved"
            f" on fact.{member.id_column} = moved.{member.id_column}"
            f" and fact.{member.at} >= moved.moved_from and fact.{member.at} < moved.moved_to"
            f" where fact.{member.at} >= {start}"
        )
    if name in context.last_closed:
        days = " union ".join(query.format(what="date_key", fact=f"gold.{name}") for query in queries)
        context.closed.reopen(model, [key for (key,) in run(days).fetchall()])
    events = " union ".join(query.format(what="event_id, fact.event_time", fact=f"work.{name}") for query in queries)
    if not context.create_temp_table("removed_events", events):
        return False
    columns = ", ".join(context.session.columns(f"temp.staging_{name}"))
    context.create_temp_table(
        f"rows_{name}",
        f"select {columns} from temp.staging_{name} union all by name"
        f" select {columns} from work.{name} semi join temp.removed_events using (event_id, event_time)",
    )
    run(
        f"delete from work.{name} as fact using temp.removed_events as removed"
        " where fact.event_id = removed.event_id and fact.event_time = removed.event_time"
    )
    return True
