-- marts.daily_comparison: each day of marts.daily_summary beside the day before and the same weekday last year.
-- grain    date
-- reads    marts.daily_summary, marts.relative_change
-- rebuild  never: a view over one row per day
-- materialize  view
-- Last year is 52 weeks ago, so Saturdays are compared with Saturdays. A compared value is null if that day has no row.
-- A change is relative to the absolute compared value and null if that is 0.
-- column  date: UTC day
-- column  day_of_week: 1 Monday to 7 Sunday
-- column  net_sales_amount: net sales of the shop, returns negative
-- column  units: units sold less units returned
-- column  orders: number of distinct sale transactions
-- column  admissions: seats of bookings less seats of cancellations
-- column  is_final: the watermark of every business topic is past the end of the day plus the allowed lateness (R17)
-- column  previous_net_sales_amount: net sales of the day before
-- column  net_sales_change: relative change of net sales to the day before
-- column  previous_admissions: admissions of the day before
-- column  admissions_change: relative change of admissions to the day before
-- column  last_year_date: the same weekday 52 weeks before
-- column  last_year_net_sales_amount: net sales of that day
-- column  net_sales_change_on_year: relative change of net sales to that day
-- column  last_year_admissions: admissions of that day
-- column  admissions_change_on_year: relative change of admissions to that day
select
    today.date,
    isodow(today.date) as day_of_week,
    today.net_sales_amount,
    today.units,
    today.orders,
    today.admissions,
    today.is_final,
    previous.net_sales_amount as previous_net_sales_amount,
    marts.relative_change(today.net_sales_amount, previous.net_sales_amount)
        as net_sales_change,
    previous.admissions as previous_admissions,
    marts.relative_change(today.admissions, previous.admissions) as admissions_change,
    today.date - 364 as last_year_date,
    last_year.net_sales_amount as last_year_net_sales_amount,
    marts.relative_change(today.net_sales_amount, last_year.net_sales_amount)
        as net_sales_change_on_year,
    last_year.admissions as last_year_admissions,
    marts.relative_change(today.admissions, last_year.admissions) as admissions_change_on_year,
from marts.daily_summary as today
left join marts.daily_summary as previous on previous.date = today.date - 1
left join marts.daily_summary as last_year on last_year.date = today.date - 364;
