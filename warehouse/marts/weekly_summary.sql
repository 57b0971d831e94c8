-- marts.weekly_summary: one row per ISO week with a day in marts.daily_summary.
-- grain    week_start_date
-- reads    marts.period_summary
-- rebuild  never: a view
-- materialize  view
-- column  week_start_date: Monday
-- column  week_end_date: Sunday
-- column  iso_week: year and number of the ISO week, like 2026-W46
-- column  days: days of the week with a row in daily_summary; fewer at the two ends of history
-- column  net_sales_amount: net sales of the shop
-- column  gross_margin_amount: gross margin of the shop, of the lines whose cost is known; null if the cost of no line
--         is known
-- column  lines_without_cost: lines without known cost, which the margin leaves out
-- column  units: net units sold
-- column  orders: number of distinct sale transactions, by day
-- column  admissions: seats of bookings less cancellations
-- column  ticket_revenue_amount: ticket revenue
-- column  concession_amount: concession sales, such as popcorn
-- column  is_final: whether all its days are final (R17)
-- column  late_correction_amount: net sales added by late data
-- column  previous_net_sales_amount: net sales of the week before
-- column  net_sales_change: relative change of net sales to the week before
-- column  previous_admissions: admissions of the week before
-- column  admissions_change: relative change of admissions to the week before
-- column  last_year_net_sales_amount: net sales of the same period last year
-- column  net_sales_change_on_year: relative change of net sales to last year
-- column  last_year_admissions: admissions of the same period last year
-- column  admissions_change_on_year: relative change of admissions to last year
select
    start_date as week_start_date,
    end_date as week_end_date,
    strftime(start_date, '%G-W%V') as iso_week,
    days,
    net_sales_amount,
    gross_margin_amount,
    lines_without_cost,
    units,
    orders,
    admissions,
    ticket_revenue_amount,
    concession_amount,
    is_final,
    late_correction_amount,
    previous_net_sales_amount,
    net_sales_change,
    previous_admissions,
    admissions_change,
    last_year_net_sales_amount,
    net_sales_change_on_year,
    last_year_admissions,
    admissions_change_on_year,
from marts.period_summary
where period = 'week';
