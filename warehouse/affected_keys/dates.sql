-- affected.dates: the days of which this refresh changed facts, and the days by which the span of gold grew.
-- grain        date
-- reads        changed.fct_sales, changed.fct_cinema_attendance, changed.fct_inventory_movement, changed.fct_review,
--              ops.gold_clock, replaced.gold_clock
-- rebuild      never: a temporary table of one refresh
-- materialize  scope
with
changed as (
    select distinct date_key from changed.fct_sales
    union
    select distinct date_key from changed.fct_cinema_attendance
    union
    select distinct date_key from changed.fct_inventory_movement
    union
    select distinct date_key from changed.fct_review
),
span as (
    select
        gold_clock.first_date,
        gold_clock.last_date,
        clock.first_date as previous_from,
        clock.last_date as previous_to,
    from ops.gold_clock
    left join replaced.gold_clock as clock on true
),
-- Days without events have rows, too.
grown as (
    select unnest(range(first_date, coalesce(previous_from, last_date + 1), interval 1 day))::date as date from span
    union all
    select unnest(range(previous_to + 1, last_date + 1, interval 1 day))::date as date
    from span
    where previous_to is not null
)
select from_date_key(date_key) as date, date_key from changed
union
select date, to_date_key(date) from grown
