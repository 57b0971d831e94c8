-- marts.period_summary: sums of marts.daily_summary by ISO week and by month.
-- grain    period, start_date
-- reads    ops.gold_clock, marts.daily_summary, marts.relative_change
-- rebuild  never: a view over one row per day
-- materialize  view
-- Every measure is the sum over its days, so weeks and months add up to the same total. This holds for `orders`, too: a
-- transaction with sales on two days counts on both. A period is final if its last day is, because days become final in
-- order. Previous is the period before; last year is the same month a year ago, or the week 52 weeks ago. Both are null
-- if that period has no row. A change is relative to the absolute compared value and null if that is 0.
-- column  period: `week` (ISO, Monday to Sunday) or `month`
-- column  start_date: first day of the period
-- column  end_date: last day of the period
-- column  days: days of the period with a row in daily_summary; fewer at the two ends of history
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
-- column  previous_net_sales_amount: net sales of the period before
-- column  net_sales_change: relative change of net sales to the period before
-- column  previous_admissions: admissions of the period before
-- column  admissions_change: relative change of admissions to the period before
-- column  last_year_net_sales_amount: net sales of the same period last year
-- column  net_sales_change_on_year: relative change of net sales to last year
-- column  last_year_admissions: admissions of the same period last year
-- column  admissions_change_on_year: relative change of admissions to last year
with
days as (
    select
        unnest(['week', 'month']) as period,
        date, net_sales_amount, gross_margin_amount, lines_without_cost, units, orders, admissions,
        ticket_revenue_amount, concession_amount, late_correction_amount,
    from marts.daily_summary
),
dated as (
    select
        *,
        -- a day without lines has a margin of 0, which must not hide that the margin of the period is unknown
        orders > 0 or units <> 0 or net_sales_amount <> 0 or lines_without_cost > 0 as has_lines,
        case period when 'week' then date_trunc('week', date) else date_trunc('month', date) end::date as start_date,
    from days
),
totals as (
    select
        period,
        start_date,
        case period
            when 'week' then start_date + interval 6 day
            else start_date + interval 1 month - interval 1 day
        end::date as end_date,
        count(*) as days,
        sum(net_sales_amount) as net_sales_amount,
        case when bool_or(has_lines) then sum(gross_margin_amount) filter (has_lines) else 0 end
            as gross_margin_amount,
        sum(lines_without_cost)::bigint as lines_without_cost,
        sum(units) as units,
        sum(orders)::bigint as orders,
        sum(admissions) as admissions,
        sum(ticket_revenue_amount) as ticket_revenue_amount,
        sum(concession_amount) as concession_amount,
        sum(late_correction_amount) as late_correction_amount,
    from dated
    group by period, start_date
),
clock as (
    select last_final_date from ops.gold_clock
)
select
    totals.period,
    totals.start_date,
    totals.end_date,
    totals.days,
    totals.net_sales_amount,
    totals.gross_margin_amount,
    totals.lines_without_cost,
    totals.units,
    totals.orders,
    totals.admissions,
    totals.ticket_revenue_amount,
    totals.concession_amount,
    coalesce(totals.end_date <= clock.last_final_date, false) as is_final,
    totals.late_correction_amount,
    previous.net_sales_amount as previous_net_sales_amount,
    marts.relative_change(totals.net_sales_amount, previous.net_sales_amount)
        as net_sales_change,
    previous.admissions as previous_admissions,
    marts.relative_change(totals.admissions, previous.admissions) as admissions_change,
    last_year.net_sales_amount as last_year_net_sales_amount,
    marts.relative_change(totals.net_sales_amount, last_year.net_sales_amount)
        as net_sales_change_on_year,
    last_year.admissions as last_year_admissions,
    marts.relative_change(totals.admissions, last_year.admissions) as admissions_change_on_year,
from totals
cross join clock
left join totals as previous
    on previous.period = totals.period
    and previous.end_date = (totals.start_date - interval 1 day)::date
left join totals as last_year
    on last_year.period = totals.period
    and last_year.start_date
        = (totals.start_date - case totals.period when 'week' then interval 364 day else interval 1 year end)::date;
