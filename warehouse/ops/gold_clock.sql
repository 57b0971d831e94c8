-- ops.gold_clock: one row: which days gold spans, and which have ended and are final by the watermarks.
-- grain        one row
-- reads        ops.topic_watermarks, replaced.gold_clock, staging.fct_sales, staging.fct_cinema_attendance,
--              staging.fct_inventory_movement, staging.fct_review
-- rebuild      whole; the span only grows
-- materialize  state
-- column       first_date: day of the first business event
-- column       last_date: day of the last business event
-- column       calendar_from: earliest day that an event or a screening falls on
-- column       calendar_to: latest day that an event or a screening falls on
-- column       last_ended_date: last day whose end every business topic's watermark has passed; null: none yet
-- column       last_final_date: last day that is final, too (R17); null: none yet
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
-- A topic with records but no watermark (all broken, say) holds every day back.
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
