"""Totals of each customer up to the last ended day, computed from a base and the days since.

`work.customer_base` holds the totals of all customers up to the end of a base day, some days before the last ended day.
The facts of later days are added to it on request, and the base day moves forward with the last ended day. A change of
facts on or before the base day invalidates the base, which is then computed from all facts.
"""

from datetime import date, timedelta

import duckdb

from warehouse.refresh.context import Context
from warehouse.refresh.segment_history import BASE_LAG
from warehouse.storage.closed_days import key_of

_FACT = "fct_customer_engagement"
_FIRST = date(1, 1, 1)
_COLUMNS = """
    customer_id varchar, first_date date, first_amount decimal(38, 4), last_date date, purchase_days bigint,
    purchase_amount decimal(38, 4), revenue_amount decimal(38, 4), lines bigint, lines_without_cost bigint,
    gross_margin_amount decimal(38, 4)"""
# Totals of a range of days. Each line of a known customer has a row of engagement on its day.
_OF_DAYS = """
    select
        customer_id,
        min(date) filter (is_purchase_day) as first_date,
        arg_min(spent_amount, date) filter (is_purchase_day) as first_amount,
        max(date) filter (is_purchase_day) as last_date,
        count(*) filter (is_purchase_day) as purchase_days,
        sum(spent_amount) filter (is_purchase_day) as purchase_amount,
        sum(spent_amount) as revenue_amount,
        any_value(lines) as lines,
        any_value(lines_without_cost) as lines_without_cost,
        any_value(gross_margin_amount) as gross_margin_amount,
    from {engagement} as engagement
    left join (
        select
            customer_id,
            count(*) as lines,
            count(*) filter (cost_amount is null) as lines_without_cost,
            sum(gross_margin_amount) as gross_margin_amount,
        from {sales}
        where customer_id is not null and date_key between {first} and {last}
        group by customer_id
    ) using (customer_id)
    where date_key between {first} and {last}
    group by customer_id"""
_ADDED = """
    select
        customer_id,
        min(first_date) as first_date,
        arg_min(first_amount, first_date) as first_amount,
        max(last_date) as last_date,
        sum(purchase_days)::bigint as purchase_days,
        sum(purchase_amount) as purchase_amount,
        sum(revenue_amount) as revenue_amount,
        sum(lines)::bigint as lines,
        sum(lines_without_cost)::bigint as lines_without_cost,
        sum(gross_margin_amount) as gross_margin_amount,
    from (from work.customer_base union all by name {days})
    group by customer_id"""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The base, its day and the totals, empty."""
    connection.execute(f"create table work.customer_base ({_COLUMNS})")
    connection.execute("create table work.customer_base_date (base_date date)")
    connection.execute(f"create or replace temp table totals_customers as {_totals_sql(_FIRST)} limit 0")


def check_base(context: Context) -> None:
    """Invalidates the base if this refresh changed facts of its days, or if its day is no longer an ended day."""
    base, ended = _base_date(context), context.clock.last_ended_date
    if base is None:
        return
    is_invalid = ended is None or ended < base
    if context.changed.get(f"gold.{_FACT}"):
        ((first,),) = context.connection.execute(f"select min(date) from temp.changed_{_FACT}").fetchall()
        is_invalid = is_invalid or first <= base
    if is_invalid:
        context.connection.execute("truncate work.customer_base_date")


def fill(context: Context) -> None:
    """Fills `temp.totals_customers` with the totals up to the last ended day of all customers with a purchase day."""
    ended = context.clock.last_ended_date
    if ended is None:
        context.connection.execute(f"create or replace temp table totals_customers as {_totals_sql(_FIRST)} limit 0")
        return
    _rebase(context, ended - timedelta(BASE_LAG))
    days = _of_days(context, _base_date(context), ended)
    context.connection.execute(f"create or replace temp table totals_customers as {_totals_sql(ended, days)}")


def _totals_sql(ended: date, days: str = "from work.customer_base limit 0") -> str:
    """The columns of `totals.customers`."""
    return f"""
        select
            customer_id, first_date, last_date,
            purchase_days - 1 as frequency,
            last_date - first_date as recency,
            date '{ended}' - first_date as t,
            coalesce((purchase_amount - first_amount)::double / nullif(purchase_days - 1, 0), 0) as monetary_value,
            revenue_amount,
            coalesce(lines, 0) as lines,
            coalesce(lines_without_cost, 0) as lines_without_cost,
            gross_margin_amount,
        from ({_ADDED.format(days=f"({days})")})
        where purchase_days > 0"""


def _rebase(context: Context, base: date) -> None:
    """Moves the base forward to a day, from the present base if it is valid. Does nothing if the base is later."""
    present, run = _base_date(context), context.connection.execute
    if present is not None and present >= base:
        return
    if present is None:
        run("truncate work.customer_base")
    run(
        "create or replace table work.customer_base as"
        f" from ({_ADDED.format(days=f'({_of_days(context, present, base)})')}) order by customer_id"
    )
    run("truncate work.customer_base_date")
    run("insert into work.customer_base_date values ($1)", [base])


def _of_days(context: Context, after: date | None, last: date) -> str:
    first = _FIRST if after is None else after + timedelta(1)
    is_open = after is not None and context.open_days_suffice(key_of(first) + 1)
    schema = "work" if is_open else "gold"
    return _OF_DAYS.format(
        engagement=f"{schema}.{_FACT}", sales=f"{schema}.fct_sales", first=key_of(first), last=key_of(last)
    )


def _base_date(context: Context) -> date | None:
    rows: list[tuple[date]] = context.connection.execute("select base_date from work.customer_base_date").fetchall()
    return rows[0][0] if rows else None
