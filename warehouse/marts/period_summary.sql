-- marts.period_summary: the days of marts.daily_summary added up to ISO weeks and to months.
-- grain    period, start_date
-- reads    ops.gold_clock, marts.daily_summary, marts.relative_change
-- rebuild  whole: a view over one row a day
-- materialize  view
-- Every measure is the sum of its days, so weeks and months add up to the same total; `orders` too: a transaction whose
-- sales fall on two days counts on each. A period is final when its last day is: days become final in order. Previous
-- is the period before; last year is the same month a year ago, or the week 52 weeks ago, whose days are the same
-- weekdays. Both are null where that period has no row; a change is relative to its size, null where it was 0.
-- column  period: `week` (ISO, Monday to Sunday) or `month`
-- column  start_date: first day of the period
-- column  end_date: last day of the period
-- column  days: days of the period with a row in daily_summary; fewer at the two ends of history
-- column  net_sales_amount: net sales of the shop
-- column  gross_margin_amount: gross margin of the shop, of the lines whose cost is known; null when no line's is
-- column  lines_without_cost: lines left out of the margin because nobody knows their cost
-- column  units: net units sold
-- column  orders: distinct sale transactions, by day
-- column  admissions: seats of bookings less cancellations
-- column  ticket_revenue_amount: money for tickets
-- column  concession_amount: money for popcorn and the like
-- column  is_final: no event can change the period without being noticed (R17)
-- column  late_correction_amount: what late data changed in net sales
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
placed as (
    select
        *,
        -- the margin of a day without lines is 0, which says nothing about the period's
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
    from placed
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
