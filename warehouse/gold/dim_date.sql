-- gold.dim_date: one row per UTC day, for whole years, from the year of the first event or screening to that of the
-- last.
-- grain        date
-- reads        ops.gold_clock
-- rebuild      days are only added
-- materialize  members
-- key          date_key
-- column       date_key: the day as a number like 20261123; -1 unknown, -2 not applicable
-- column       date: the day
-- column       year: calendar year
-- column       quarter: 1 to 4
-- column       month: 1 to 12
-- column       month_name: name of the month, `November`
-- column       day: day of the month
-- column       day_of_week: 1 Monday to 7 Sunday (ISO)
-- column       day_name: name of the weekday, `Monday`
-- column       iso_year: year of the ISO week
-- column       iso_week: 1 to 53
-- column       week_start_date: Monday of the ISO week
-- column       month_start_date: first day of the month
-- column       is_weekend: whether it is Saturday or Sunday
with
days as (
    select
        unnest(generate_series(
            make_date(year(calendar_from), 1, 1), make_date(year(calendar_to), 12, 31), interval 1 day
        ))::date as date,
    from ops.gold_clock
)
select
    to_date_key(date) as date_key,
    date,
    year(date)::integer as year,
    quarter(date)::integer as quarter,
    month(date)::integer as month,
    monthname(date) as month_name,
    day(date)::integer as day,
    isodow(date)::integer as day_of_week,
    dayname(date) as day_name,
    isoyear(date)::integer as iso_year,
    week(date)::integer as iso_week,
    date_trunc('week', date)::date as week_start_date,
    date_trunc('month', date)::date as month_start_date,
    isodow(date) >= 6 as is_weekend,
from days
