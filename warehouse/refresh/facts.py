"""Facts: new rows are keyed and appended; rows of members whose versions moved are taken out and keyed anew."""

from warehouse.refresh.context import Context
from warehouse.registry import Model, of_kind, scoped
from warehouse.storage.closed_days import table_of


def append_facts(context: Context, model: Model) -> None:
    """Appends the new rows; leaves all that were written, new or keyed anew, in `temp.changed_<fact>`."""
    run, table, temporary = context.connection.execute, table_of(model), f"changed_{model.name}"
    is_moved = any(member.dimension in context.moved for member in model.members)
    if is_moved and _take_out(context, model):
        source = f"temp.rows_{model.name}"
        context.taken.add(model.name)
    elif context.rows[f"staging.{model.name}"] or context.is_first:
        source = f"temp.staging_{model.name}"
    else:
        context.empty(temporary, f"select * from {table}")
        return
    body = scoped(model.sql, native=True).replace(f"temp.staging_{model.name} ", f"{source} ")
    if context.is_first:
        context.changed[model.full_name] = context.found(table, temporary, body)
        context.closed.refresh_view(model)
        return
    context.changed[model.full_name] = context.temporary(temporary, body)
    if model.name not in context.taken:
        _note_repeated(context, model)
    run(f"insert into {table} by name select * from temp.{temporary}")


def _note_repeated(context: Context, model: Model) -> None:
    """Finds out whether what a `distinct` column of the new rows holds is new on their native days."""
    new = f"temp.changed_{model.name}"
    for name in {other.header["distinct"] for other in of_kind("days") if "distinct" in other.header}:
        fact, _, column = name.partition(".")
        if fact != model.name:
            continue
        ((first, last),) = context.connection.execute(f"select min(date_key), max(date_key) from {new}").fetchall()
        held = f"work.{fact} semi join {new} using ({column}) where date_key between {first} and {last}"
        if context.count(f"select count(*) from {held}"):
            context.repeated.add(name)


def _take_out(context: Context, model: Model) -> bool:
    """Takes the rows that moved out of the fact and puts them, with the new ones, in `temp.rows_<fact>`.

    A row is told by its members' ids and its time; literal bounds let DuckDB skip what is older. All lines of an event
    go together. Closed days that hold such rows are reopened. Returns whether there were any.
    Not by rowid: DuckDB 2.0 misses committed rows when ids of the open transaction's own rows are sought with them.
    """
    run, name = context.connection.execute, model.name
    hits = []
    for member in model.members:
        if member.dimension not in context.moved:
            continue
        start = f"timestamptz '{context.moved[member.dimension].isoformat(sep=' ')}'"
        hits.append(
            f"select fact.{{what}} from {{fact}} as fact join temp.moved_{member.dimension} as moved"
            f" on fact.{member.id_column} = moved.{member.id_column}"
            f" and fact.{member.at} >= moved.moved_from and fact.{member.at} < moved.moved_to"
            f" where fact.{member.at} >= {start}"
        )
    if name in context.last_closed:
        found = " union ".join(hit.format(what="date_key", fact=f"gold.{name}") for hit in hits)
        context.closed.reopen(model, [key for (key,) in run(found).fetchall()])
    events = " union ".join(hit.format(what="event_id, fact.event_time", fact=f"work.{name}") for hit in hits)
    if not context.temporary("taken", events):
        return False
    columns = ", ".join(context.session.columns(f"temp.staging_{name}"))
    context.temporary(
        f"rows_{name}",
        f"select {columns} from temp.staging_{name} union all by name"
        f" select {columns} from work.{name} semi join temp.taken using (event_id, event_time)",
    )
    run(
        f"delete from work.{name} as fact using temp.taken"
        " where fact.event_id = taken.event_id and fact.event_time = taken.event_time"
    )
    return True
