"""Segment history by day (R36): which ended days to recompute, from which base, and which versions that affects.

`work.rfm_base` holds the 365-day window of each customer at the end of a base day, some days before the last ended day.
The days since are computed from the base and their own facts, not from a year of purchases. A change on or before the
base day needs a new base. Versions that ended before the first recomputed day stay as they are and are not read.

A late event of an ended day changes the ranks of that day and all later ones. A refresh that may defer work records the
first such day in `work.segments_due`; a refresh that may not computes all due days.
"""

from datetime import date, timedelta

import duckdb

from warehouse.refresh.context import Context
from warehouse.registry import Model, scoped

WINDOW = 365
BASE_LAG = 4  # days between the base and the last ended day; most late data falls between
EPOCH = date(1970, 1, 1)
_FACT = "gold.fct_customer_engagement"
_NAME = "dim_customer_segment"
_SCORES = "recency_score, frequency_score, monetary_score"

# The replaced versions as the changes that created them.
_AS_CHANGES = f"""
    select customer_id, 'upsert' as event_type, valid_from as event_time, segment, {_SCORES}
    from temp.replaced_{_NAME}
    union all
    select customer_id, 'delete', valid_to, null, null, null, null
    from temp.replaced_{_NAME}
    where is_deleted"""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The base, its day and the first due day, empty."""
    connection.execute(
        "create table work.rfm_base"
        " (customer_id varchar, frequency integer, monetary decimal(38, 4), bought_on integer)"
    )
    connection.execute("create table work.rfm_base_date (base_date date)")
    connection.execute("create table work.segments_due (first_date date)")


def prepare(context: Context, model: Model) -> None:
    """Creates the temporary tables of the statements, empty."""
    context.create_empty_temp_table("affected_segment_days", "select 0 as base_day, 0 as first_day, 0 as last_day")
    context.create_empty_temp_table(f"affected_{_NAME}", "select '' as customer_id, 0 as versions_before")
    context.create_empty_temp_table(f"changes_{_NAME}", _body(model))


def update(context: Context, model: Model) -> int:
    """Fills `temp.changes_dim_customer_segment` for the due days and deletes the versions that they replace.

    Fills `temp.affected_dim_customer_segment` with the affected customers and how many versions each keeps. Returns
    the number of these customers.
    """
    connection, run = context.connection, context.connection.execute
    first = _first_due(context)
    if first is None or context.clock.first_date is None or context.defer(model.full_name):
        return 0
    last = context.clock.last_ended_date or context.clock.first_date - timedelta(1)
    run("truncate work.segments_due")
    context.session.empty_tables.difference_update(("affected_segment_days", f"affected_{_NAME}", f"changes_{_NAME}"))
    context.closed.reopen(model, [key for key in context.closed.keys(_NAME) if key >= int(f"{first:%Y%m%d}")])
    after = f"timestamptz '{first} 00:00:00+00'"
    in_force = f"customer_segment_key > 0 and (effective_to is null or effective_to > {after})"
    run(f"create or replace temp table replaced_{_NAME} as select * from work.{_NAME} where {in_force}")
    if first <= last:
        base = _base(connection, first)
        run("insert into temp.affected_segment_days values ($1, $2, $3)", [_day(base), _day(first), _day(last)])
        for name, day in (
            ("gained_from", base + timedelta(1)),
            ("gained_to", last),
            ("lost_from", base - timedelta(WINDOW - 1)),
            ("lost_to", last - timedelta(WINDOW)),
        ):
            run(f"set variable segments_{name} = {day:%Y%m%d}")
        run(f"insert into temp.changes_{_NAME} by name {_body(model)}")
    affected = context.run_count(f"insert into temp.affected_{_NAME} {_affected_sql(context, after)}")
    run(
        f"insert into temp.changes_{_NAME} by name select *, 0 as _partition, 0 as _offset"
        f" from ({_AS_CHANGES}) where event_time <= {after}"
    )
    run(f"delete from work.{_NAME} where {in_force} and customer_id in (select customer_id from temp.affected_{_NAME})")
    if run("select base_date from work.rfm_base_date").fetchall() != [(last - timedelta(BASE_LAG),)]:
        _rebase(connection, last - timedelta(BASE_LAG))
    return affected


def _affected_sql(context: Context, after: str) -> str:
    """The customers whose changes after an instant differ from the stored versions, with the versions each keeps."""
    if context.is_first:
        return f"select distinct customer_id, 0 from temp.changes_{_NAME}"
    compared = f"customer_id, event_type, event_time, {_SCORES}"
    before = f"select {compared} from ({_AS_CHANGES}) where event_time > {after}"
    now = f"select {compared} from temp.changes_{_NAME}"
    return (
        "select customer_id, coalesce(versions_before, 0)"
        f" from (select customer_id from (({before} except {now}) union all ({now} except {before})) group by all)"
        f" left join (select customer_id, min(version) - 1 as versions_before from temp.replaced_{_NAME}"
        "   group by customer_id) using (customer_id)"
    )


def _body(model: Model) -> str:
    """The model's statement. Its own previous versions are read from open days, as the needed ones are in these."""
    return scoped(model.sql).replace(f"gold.{_NAME}", f"work.{_NAME}")


def _first_due(context: Context) -> date | None:
    """The first due day of this refresh and of those that deferred theirs. Stored for the next refresh.

    It is after the last ended day if days stopped being ended and nothing else changed.
    """
    run, before, now = context.connection.execute, context.clock_before.last_ended_date, context.clock.last_ended_date
    first_date = context.clock.first_date
    due: list[date] = [day for (day,) in run("select first_date from work.segments_due").fetchall()]
    known = len(due)
    if first_date is not None:  # else there are no facts and no days
        if before is not None and (now is None or now < before):
            due.append(first_date if now is None else now + timedelta(1))
        if now is not None and (before is None or now > before):
            due.append(first_date if before is None else max(before + timedelta(1), first_date))
        if now is not None and context.changed.get(_FACT):
            ((changed,),) = run("select min(date) from temp.changed_fct_customer_engagement").fetchall()
            if changed <= now:
                due.append(changed)
    if len(due) > known:
        run("truncate work.segments_due")
        run("insert into work.segments_due values ($1)", [min(due)])
    return min(due, default=None)


def _base(connection: duckdb.DuckDBPyConnection, first: date) -> date:
    """Moves the base before the first due day if it is not. Returns the base day."""
    rows: list[tuple[date]] = connection.execute("select base_date from work.rfm_base_date").fetchall()
    if rows and rows[0][0] < first:
        return rows[0][0]
    return _rebase(connection, first - timedelta(1))


def _rebase(connection: duckdb.DuckDBPyConnection, base: date) -> date:
    connection.execute("truncate work.rfm_base")
    connection.execute(
        "insert into work.rfm_base select customer_id, sum(is_purchase_day::integer), sum(spent_amount),"
        " max(date) filter (is_purchase_day) - date '1970-01-01' from gold.fct_customer_engagement"
        f" where date_key between {base - timedelta(WINDOW - 1):%Y%m%d} and {base:%Y%m%d} group by customer_id"
    )
    connection.execute("delete from work.rfm_base_date")
    connection.execute("insert into work.rfm_base_date values ($1)", [base])
    return base


def _day(day: date) -> int:
    return (day - EPOCH).days
