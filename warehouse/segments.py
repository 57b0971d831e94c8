"""Segment history by day (R36): which ended days to compute again, from what base.

`work.rfm_base` holds each customer's 365-day window as it was at the end of a day some days back, so that the days
since cost what happened in them, not a year of purchases. A change before that day means a new base.
"""

from datetime import date, timedelta

import duckdb

from warehouse.context import Context
from warehouse.models import Model, scoped

WINDOW = 365
BASE_LAG = 4  # days between the base and the last ended day: late data mostly falls between
EPOCH = date(1970, 1, 1)
_NAME = "dim_customer_segment"


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The base and its day."""
    connection.execute(
        "create table work.rfm_base"
        " (customer_id varchar, frequency integer, monetary decimal(38, 4), bought_on integer)"
    )
    connection.execute("create table work.rfm_base_date (base_date date)")


def prepare(context: Context) -> None:
    """Makes what the model's statement reads, empty."""
    connection = context.connection
    connection.execute("create or replace temp table touched_segment_days (base_day int, first_day int, last_day int)")
    connection.execute(f"create or replace temp table touched_{_NAME} (customer_id varchar)")


def update(context: Context, model: Model) -> int:
    """Replaces the changes of the days concerned; fills `temp.touched_dim_customer_segment` and returns its rows."""
    connection, run = context.connection, context.connection.execute
    prepare(context)
    span = _span(connection)
    if span is None:
        return 0
    first, last = span
    after = f"timestamptz '{first} 00:00:00+00'"
    changes = f"work.{_NAME}_changes"
    run(f"create or replace temp table changes_before as select * from {changes} where event_time > {after}")
    run(f"delete from {changes} where event_time > {after}")
    if first <= last:
        base = _base(connection, first)
        run("insert into temp.touched_segment_days values ($1, $2, $3)", [_day(base), _day(first), _day(last)])
        for name, day in (
            ("gained_from", base + timedelta(1)),
            ("gained_to", last),
            ("lost_from", base - timedelta(WINDOW - 1)),
            ("lost_to", last - timedelta(WINDOW)),
        ):
            run(f"set variable segments_{name} = {day:%Y%m%d}")
        run(f"insert into {changes} by name {scoped(model.sql)}")
    compared = "customer_id, event_type, event_time, recency_score, frequency_score, monetary_score"
    run(
        f"insert into temp.touched_{_NAME} select distinct customer_id from ("
        f" (select {compared} from temp.changes_before except"
        f"  select {compared} from {changes} where event_time > {after})"
        f" union all (select {compared} from {changes} where event_time > {after} except"
        f"  select {compared} from temp.changes_before))"
    )
    if connection.execute("select base_date from work.rfm_base_date").fetchall() != [(last - timedelta(BASE_LAG),)]:
        _rebase(connection, last - timedelta(BASE_LAG))
    rows = run(f"select count(*) from temp.touched_{_NAME}").fetchall()
    return int(rows[0][0])


def _span(connection: duckdb.DuckDBPyConnection) -> tuple[date, date] | None:
    """First and last day to compute; the first lies after the last where days have only come to be open again."""
    rows = connection.execute(
        "select held.last_ended_date, clock.last_ended_date, clock.first_date,"
        "   (select min(date) from temp.changed_fct_customer_engagement)"
        " from ops.gold_clock as clock left join temp.touched_clock as held on true"
    ).fetchall()
    before, now, first_date, changed = rows[0]
    if first_date is None:  # no facts, so no days
        return None
    firsts = []
    if before is not None and (now is None or now < before):
        firsts.append(first_date if now is None else now + timedelta(1))
    if now is not None and (before is None or now > before):
        firsts.append(first_date if before is None else max(before + timedelta(1), first_date))
    if changed is not None and now is not None and changed <= now:
        firsts.append(changed)
    if not firsts:
        return None
    return min(firsts), first_date - timedelta(1) if now is None else now


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
