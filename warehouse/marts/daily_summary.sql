-- marts.daily_summary: KPIs by day, one row per UTC day from the first to the last day with a business event.
-- grain        date
-- reads        affected.dates, gold.fct_sales, gold.fct_cinema_attendance, ops.gold_clock
-- rebuild      by date: affected days are recomputed, or new facts are added to them
-- materialize  days
-- scope        affected.dates(date)
-- restates     net_sales_amount, gross_margin_amount, units, orders, admissions, ticket_revenue_amount,
--              concession_amount
-- adds         net_sales_amount, gross_margin_amount, lines, lines_without_cost, units, orders, admissions,
--              ticket_revenue_amount, concession_amount, late_correction_amount
-- then         gross_margin_amount: case when lines = 0 or lines > lines_without_cost then gross_margin_amount end
-- distinct     fct_sales.transaction_id
-- clock        is_final: date <= last_final_date
-- column       date: UTC day
-- column       net_sales_amount: net sales of the shop, returns negative
-- column       gross_margin_amount: net sales less cost of the lines whose cost is known; null if the cost of no line
--              is known
-- column       lines: lines of sales and returns
-- column       lines_without_cost: lines without known cost, which the margin leaves out
-- column       units: units sold less units returned
-- column       orders: number of distinct sale transactions
-- column       admissions: seats of bookings less seats of cancellations
-- column       ticket_revenue_amount: ticket revenue
-- column       concession_amount: concession sales, such as popcorn
-- column       is_final: the watermark of every business topic is past the end of the day plus the allowed lateness
--              (R17)
-- column       late_correction_amount: net sales of late lines
with
days as (
    select date, to_date_key(date) as date_key from affected.dates
),
sales as (
    select
        date_key,
        sum(net_sales_amount) as net_sales_amount,
        sum(gross_margin_amount) as gross_margin_amount,
        count(*) as lines,
        count(*) filter (cost_amount is null) as lines_without_cost,
        sum(quantity)::decimal(38, 0) as units,
        count(distinct transaction_id) filter (event_type = 'sale') as orders,
        sum(net_sales_amount) filter (_arrival = 'late') as late_correction_amount,
    from gold.fct_sales
    semi join days using (date_key)
    group by date_key
),
cinema as (
    select
        date_key,
        sum(admissions)::decimal(38, 0) as admissions,
        sum(ticket_revenue_amount) as ticket_revenue_amount,
        sum(concession_amount) as concession_amount,
    from gold.fct_cinema_attendance
    semi join days using (date_key)
    group by date_key
),
clock as (
    select last_final_date from ops.gold_clock
)
select
    date,
    coalesce(net_sales_amount, 0)::decimal(38, 4) as net_sales_amount,
    -- without lines the margin is 0; with lines of unknown cost only it is null
    case when sales.date_key is null then 0 else gross_margin_amount end::decimal(38, 4) as gross_margin_amount,
    coalesce(lines, 0) as lines,
    coalesce(lines_without_cost, 0) as lines_without_cost,
    coalesce(units, 0)::decimal(38, 0) as units,
    coalesce(orders, 0) as orders,
    coalesce(admissions, 0)::decimal(38, 0) as admissions,
    coalesce(ticket_revenue_amount, 0)::decimal(38, 4) as ticket_revenue_amount,
    coalesce(concession_amount, 0)::decimal(38, 4) as concession_amount,
    coalesce(date <= clock.last_final_date, false) as is_final,
    coalesce(late_correction_amount, 0)::decimal(38, 4) as late_correction_amount,
from days
left join sales using (date_key)
left join cinema using (date_key)
cross join clock
