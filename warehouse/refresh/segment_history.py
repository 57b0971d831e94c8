"""Segment history by day (R36): which ended days to compute again, from what base, and which versions that touches.

`work.rfm_base` holds each customer's 365-day window as it was at the end of a day some days back, so that the days
since cost what happened in them, not a year of purchases. A change before that day means a new base. Versions that
gave way before the first day computed stay as they are; no history is read to go on with it.

Every late event of an ended day changes ranks from that day on. A refresh that may lag only notes the first day in
`work.segments_due`, and one that may not, or `settle`, computes all that is due at once.
"""

from datetime import date, timedelta

import duckdb

from warehouse.refresh.context import Context
from warehouse.registry import Model, scoped

WINDOW = 365
BASE_LAG = 4  # days between the base and the last ended day: late data mostly falls between
EPOCH = date(1970, 1, 1)
FACT = "gold.fct_customer_engagement"
_NAME = "dim_customer_segment"
_SCORES = "recency_score, frequency_score, monetary_score"

# Versions in force at an instant or begun after it, told as the changes that made them.
_AS_CHANGES = f"""
    select customer_id, 'upsert' as event_type, valid_from as event_time, segment, {_SCORES}
    from temp.replaced_{_NAME}
    union all
    select customer_id, 'delete', valid_to, null, null, null, null
    from temp.replaced_{_NAME}
    where is_deleted"""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The base and its day."""
    connection.execute(
        "create table work.rfm_base"
        " (customer_id varchar, frequency integer, monetary decimal(38, 4), bought_on integer)"
    )
    connection.execute("create table work.rfm_base_date (base_date date)")
    connection.execute("create table work.segments_due (first_date date)")


def prepare(context: Context, model: Model) -> None:
    """Makes what the statements read, empty."""
    context.empty("affected_segment_days", "select 0 as base_day, 0 as first_day, 0 as last_day")
    context.empty(f"affected_{_NAME}", "select '' as customer_id, 0 as versions_before")
    context.empty(f"changes_{_NAME}", _body(model))


def update(context: Context, model: Model) -> int:
    """Leaves the changes of the days concerned in `temp.changes_…` and takes out the versions they replace.

    Fills `temp.affected_dim_customer_segment` with the customers concerned, how many versions each keeps, and returns
    how many there are.
    """
    connection, run = context.connection, context.connection.execute
    first = _first_due(context)
    if first is None or context.clock.first_date is None or context.puts_off(model.full_name):
        return 0
    last = context.clock.last_ended_date or context.clock.first_date - timedelta(1)
    run("truncate work.segments_due")
    context.session.blank.difference_update(("affected_segment_days", f"affected_{_NAME}", f"changes_{_NAME}"))
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
    touched = context.count(f"insert into temp.affected_{_NAME} {_concerned(context, after)}")
    run(
        f"insert into temp.changes_{_NAME} by name select *, 0 as _partition, 0 as _offset"
        f" from ({_AS_CHANGES}) where event_time <= {after}"
    )
    run(f"delete from work.{_NAME} where {in_force} and customer_id in (select customer_id from temp.affected_{_NAME})")
    if run("select base_date from work.rfm_base_date").fetchall() != [(last - timedelta(BASE_LAG),)]:
        _rebase(connection, last - timedelta(BASE_LAG))
    return touched


def _concerned(context: Context, after: str) -> str:
    """Who changes after an instant otherwise than it stands in the versions, and how many versions each keeps."""
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
    """The model's statement; what it holds of itself is native, as last versions and reopened days are."""
    return scoped(model.sql).replace(f"gold.{_NAME}", f"work.{_NAME}")


def _first_due(context: Context) -> date | None:
    """The first day to compute, of this refresh and those that left it for later; noted for the next one.

    It lies after the last ended day where days have only come to be open again.
    """
    run, before, now = context.connection.execute, context.clock_before.last_ended_date, context.clock.last_ended_date
    first_date = context.clock.first_date
    due: list[date] = [day for (day,) in run("select first_date from work.segments_due").fetchall()]
    known = len(due)
    if first_date is not None:  # else there are no facts, so no days
        if before is not None and (now is None or now < before):
            due.append(first_date if now is None else now + timedelta(1))
        if now is not None and (before is None or now > before):
            due.append(first_date if before is None else max(before + timedelta(1), first_date))
        if now is not None and context.changed.get(FACT):
            ((changed,),) = run("select min(date) from temp.changed_fct_customer_engagement").fetchall()
            if changed <= now:
                due.append(changed)
    if len(due) > known:
        run("truncate work.segments_due")
        run("insert into work.segments_due values ($1)", [min(due)])
    return min(due, default=None)


def _base(connection: duckdb.DuckDBPyConnection, first: date) -> date:
    """Makes sure that the base lies before the first day; returns its day."""
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
