-- ops.gold_clock: one row: the days that gold spans, and which of them have ended and are final by the watermarks.
-- grain        one row
-- reads        ops.topic_watermarks, replaced.gold_clock, staging.fct_sales, staging.fct_cinema_attendance,
--              staging.fct_inventory_movement, staging.fct_review
-- rebuild      whole; the span only grows
-- materialize  state
-- column       first_date: day of the first business event
-- column       last_date: day of the last business event
-- column       calendar_from: first day with an event or a screening
-- column       calendar_to: last day with an event or a screening
-- column       last_ended_date: last ended day: the watermark of every business topic is past its end; null if there is
--              none
-- column       last_final_date: last final day (R17); null if there is none
with
seen as (
    select min(event_time) as first_at, max(event_time) as last_at from staging.fct_sales
    union all
    select min(event_time), max(event_time) from staging.fct_cinema_attendance
    union all
    select min(event_time), max(event_time) from staging.fct_inventory_movement
    union all
    select min(event_time), max(event_time) from staging.fct_review
),
screened as (
    select min(screening_time) as first_at, max(screening_time) as last_at from staging.fct_cinema_attendance
),
days as (
    select utc_day(min(first_at)) as first_date, utc_day(max(last_at)) as last_date from seen
),
-- A topic that has records but no watermark, for example only invalid records, keeps all days open.
marks as (
    select
        case when bool_and(watermark is not null) then min(watermark) end as ended_before,
        case when bool_and(final_before is not null) then min(final_before) end as final_before,
    from ops.topic_watermarks
    where is_business
)
select
    least(days.first_date, clock.first_date) as first_date,
    greatest(days.last_date, clock.last_date) as last_date,
    least(days.first_date, clock.calendar_from, utc_day(screened.first_at)) as calendar_from,
    greatest(days.last_date, clock.calendar_to, utc_day(screened.last_at)) as calendar_to,
    (utc_day(marks.ended_before) - 1)::date as last_ended_date,
    (utc_day(marks.final_before) - 1)::date as last_final_date,
from days
cross join screened
cross join marks
left join replaced.gold_clock as clock on true
