"""`ops.restatements`: how late data and other changes of ended days changed the KPIs of a day.

One row per refresh, date, KPI and cause. Cause `late`: late events; for each date the deltas of net sales add up to
`daily_summary.late_correction_amount`, whether the day had ended or not. Other changes of ended days have the cause
`on_time` (an idle partition resumed) or `master_data` (a version moved). Rows of one date and KPI form a chain: the
`value_after` of one is the `value_before` of the next.

Restatements survive a rebuild of gold (`carry_over`), because silver does not record which days were ended or final at
the time. Refreshes before the rebuild get numbers up to 0. Of the rows added by the rebuild, only those of net sales
continue the chain to the last digit, because master data may have moved the other KPIs. An event that is gone is
reversed by a row with a negative delta and a negative `event_count`.
"""

from datetime import datetime
from pathlib import Path

import duckdb

from warehouse.refresh.context import Context
from warehouse.storage import publish

KEEP_REFRESHES = 1_000  # rows of older refreshes are added up to one per date, KPI and cause
_CONDENSE_EVERY = 200
SAMPLE = 10
_SUMMARY = "marts.daily_summary"

_CREATE = """
    create table ops.restatements (
        refresh_id bigint, restated_at timestamptz, date date, table_name varchar, kpi varchar, cause varchar,
        value_before decimal(38, 4), value_after decimal(38, 4), delta decimal(38, 4),
        event_count bigint, event_ids varchar[], was_ended boolean, was_final boolean
    )"""

_KPIS = (
    "net_sales_amount", "gross_margin_amount", "units", "orders",
    "admissions", "ticket_revenue_amount", "concession_amount",
)  # fmt: skip
_AS_ROWS = ", ".join(f"coalesce({kpi}, 0)::decimal(38, 4) as {kpi}" for kpi in _KPIS)

_RECORD = f"""
    insert into ops.restatements
    with
    clock as (
        select last_ended_date, last_final_date from temp.replaced_gold_clock
    ),
    arrived as (
        select utc_day(event_time) as date, 'shop' as area, event_id, _arrival = 'late' as is_late,
        from temp.staging_fct_sales
        union
        select utc_day(event_time), 'cinema', event_id, _arrival = 'late'
        from temp.staging_fct_cinema_attendance
    ),
    events as (
        select date, area,
            count(*) filter (is_late) as late_count,
            min(event_id, {SAMPLE}) filter (is_late) as late_ids,
            count(*) filter (not is_late) as other_count,
            min(event_id, {SAMPLE}) filter (not is_late) as other_ids,
        from arrived
        group by date, area
    ),
    late_shop as (
        select from_date_key(date_key) as date,
            sum(net_sales_amount) as net_sales_amount,
            sum(gross_margin_amount) as gross_margin_amount,
            sum(quantity) as units,
            count(distinct transaction_id) filter (event_type = 'sale') as orders,
        from temp.changed_fct_sales
        semi join (select event_id, event_time from temp.staging_fct_sales where _arrival = 'late')
            using (event_id, event_time)
        group by date_key
    ),
    late_cinema as (
        select from_date_key(date_key) as date,
            sum(admissions) as admissions,
            sum(ticket_revenue_amount) as ticket_revenue_amount,
            sum(concession_amount) as concession_amount,
        from temp.changed_fct_cinema_attendance
        semi join (select event_id, event_time from temp.staging_fct_cinema_attendance where _arrival = 'late')
            using (event_id, event_time)
        group by date_key
    ),
    late as (
        unpivot (select date, {_AS_ROWS} from late_shop full join late_cinema using (date))
        on {", ".join(_KPIS)} into name kpi value late_delta
    ),
    before as (
        unpivot (select date, {_AS_ROWS} from temp.replaced_daily_summary)
        on {", ".join(_KPIS)} into name kpi value value_before
    ),
    after as (
        unpivot (select date, {_AS_ROWS} from temp.changed_daily_summary)
        on {", ".join(_KPIS)} into name kpi value value_after
    ),
    changes as (
        select
            after.date,
            after.kpi,
            coalesce(before.value_before, 0)::decimal(38, 4) as value_before,
            after.value_after,
            coalesce(late_count, 0) as late_count,
            late_ids,
            coalesce(other_count, 0) as other_count,
            other_ids,
            coalesce(after.date <= clock.last_ended_date, false) as was_ended,
            coalesce(after.date <= clock.last_final_date, false) as was_final,
            case
                -- a late line of a transaction that was counted already adds no order
                when after.kpi = 'orders' and coalesce(late_count, 0) = 0 then 0
                when after.kpi = 'orders' and coalesce(other_count, 0) = 0
                    then after.value_after - coalesce(before.value_before, 0)
                when after.kpi = 'orders'
                    then least(coalesce(late.late_delta, 0), after.value_after - coalesce(before.value_before, 0))
                else coalesce(late.late_delta, 0)
            end::decimal(38, 4) as late_delta,
        from after
        left join before using (date, kpi)
        left join late using (date, kpi)
        left join events
            on after.date = events.date
            and events.area = case
                when after.kpi in ('admissions', 'ticket_revenue_amount', 'concession_amount') then 'cinema' else 'shop'
            end
        left join clock on true
    ),
    rows as (
        select date, kpi, 'late' as cause,
            (value_after - late_delta)::decimal(38, 4) as value_before, value_after, late_delta as delta,
            late_count as event_count, late_ids as event_ids, was_ended, was_final,
        from changes
        where late_delta <> 0
        union all
        select date, kpi, case when other_count > 0 then 'on_time' else 'master_data' end,
            value_before, (value_after - late_delta)::decimal(38, 4),
            (value_after - late_delta - value_before)::decimal(38, 4),
            other_count, other_ids, was_ended, was_final,
        from changes
        where was_ended and value_after - late_delta <> value_before
    )
    select $1::bigint, $2::timestamptz, date, '{_SUMMARY}', kpi, cause, value_before, value_after, delta,
        event_count, coalesce(event_ids, []), was_ended, was_final,
    from rows"""

# Without late data most refreshes have nothing to record.
_IS_DUE = """
    select
        exists (from temp.staging_fct_sales where _arrival = 'late')
        or exists (from temp.staging_fct_cinema_attendance where _arrival = 'late')
        or coalesce(
            (select min(date) from temp.changed_daily_summary)
                <= (select last_ended_date from temp.replaced_gold_clock),
            false
        )"""

_CONDENSED = """
    select max(refresh_id) as refresh_id, max(restated_at) as restated_at, date, table_name, kpi, cause,
        arg_min(value_before, refresh_id) as value_before, arg_max(value_after, refresh_id) as value_after,
        sum(delta)::decimal(38, 4) as delta, sum(event_count)::bigint as event_count,
        arg_max(event_ids, refresh_id) as event_ids, was_ended, was_final,
    from ops.restatements
    where refresh_id <= $1
    group by date, table_name, kpi, cause, was_ended, was_final"""


# The restatements of a first refresh, which read all of silver, that earlier rows do not report.
_UNREPORTED = f"""
    create or replace temp table unreported as
    with
    reported as (
        select date, kpi, sum(delta) as delta, sum(event_count)::bigint as event_count,
            flatten(list(event_ids)) as event_ids,
        from carried_restatements
        where cause = 'late'
        group by date, kpi
    ),
    now as (
        from ops.restatements where refresh_id = $1 and cause = 'late'
    ),
    present as (
        unpivot (select date, {_AS_ROWS} from temp.changed_daily_summary)
        on {", ".join(_KPIS)} into name kpi value value_now
    ),
    both_sides as (
        select date, kpi,
            coalesce(now.value_after, present.value_now, 0)::decimal(38, 4) as value_after,
            (coalesce(now.delta, 0) - coalesce(reported.delta, 0))::decimal(38, 4) as delta,
            coalesce(now.event_count, 0) - coalesce(reported.event_count, 0) as event_count,
            list_filter(
                coalesce(now.event_ids, []), lambda id: not list_contains(coalesce(reported.event_ids, []), id)
            ) as event_ids,
            -- an event that does not change a KPI has no row there, so new events are counted over all KPIs of an area
            max(coalesce(now.event_count, 0)) over area
                - max(coalesce(reported.event_count, 0)) over area as new_events,
        from now
        full join reported using (date, kpi)
        left join present using (date, kpi)
        window area as (
            partition by date, kpi in ('admissions', 'ticket_revenue_amount', 'concession_amount')
        )
    )
    select $1::bigint as refresh_id, $2::timestamptz as restated_at, date, '{_SUMMARY}' as table_name, kpi,
        'late' as cause, (value_after - delta)::decimal(38, 4) as value_before, value_after, delta,
        event_count, event_ids, false as was_ended, false as was_final,
    from both_sides
    -- net sales add up to the last digit; differences of other KPIs may come from master data, not from an event
    where delta <> 0 and (kpi = 'net_sales_amount' or new_events <> 0)"""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """The table, empty."""
    connection.execute(_CREATE)


def record(context: Context, refresh_id: int, now: datetime) -> int:
    """Adds the rows of this refresh. Returns their number. Reads only rows that the refresh wrote."""
    if not context.changed.get(_SUMMARY):
        return 0
    run = context.connection.execute
    rows = 0
    if run(_IS_DUE).fetchall() == [(True,)]:
        rows = int(run(_RECORD, [refresh_id, now]).fetchall()[0][0])
    if refresh_id % _CONDENSE_EVERY == 0:
        _condense(context.connection, refresh_id - KEEP_REFRESHES)
    return rows


def carry_over(context: Context, published: Path, refresh_id: int, now: datetime) -> int:
    """Copies the restatements of the published file after a first refresh and adds only differences they do not cover.

    Returns the number of rows added. Ignores a published file that cannot be read or has other columns.
    """
    new = "select count(*) from ops.restatements where refresh_id = $1"
    try:
        with publish.reading(published) as other:
            carried = other.sql(
                "select * replace (refresh_id - (select max(refresh_id) from published.ops.restatements) as refresh_id)"
                " from published.ops.restatements"
            ).to_arrow_table()
    except duckdb.Error:
        carried = None
    run = context.connection.execute
    if not carried or carried.column_names != list(context.session.columns("ops.restatements")):
        return int(run(new, [refresh_id]).fetchall()[0][0])
    context.connection.register("carried_restatements", carried)
    run(_UNREPORTED, [refresh_id, now])
    run("delete from ops.restatements where refresh_id = $1 and cause = 'late'", [refresh_id])
    run("insert into ops.restatements by name from carried_restatements")
    run("insert into ops.restatements by name from temp.unreported")
    run("drop table temp.unreported")
    context.connection.unregister("carried_restatements")
    return int(run(new, [refresh_id]).fetchall()[0][0])


def _condense(connection: duckdb.DuckDBPyConnection, through: int) -> None:
    """Adds up the rows of refreshes up to `through` to one per date, KPI and cause. Sums stay the same."""
    connection.execute(f"create or replace temp table condensed as {_CONDENSED}", [through])
    connection.execute("delete from ops.restatements where refresh_id <= $1", [through])
    connection.execute("insert into ops.restatements by name select * from temp.condensed")
