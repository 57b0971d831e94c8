-- ops.gold_rule_counts: warn rules that need gold, counted over all history when the view is read.
-- grain        topic, rule
-- reads        gold.fct_sales, gold.fct_cinema_attendance
-- rebuild      never: a view
-- materialize  view
-- column       topic: the topic
-- column       rule: `unmatched_return`: a return whose original transaction is not among the sales;
--              `over_cancelled`: a booking with more seats cancelled than booked
-- column       action: always `warn`
-- column       rows: number of return events or bookings
with
sales as (
    select transaction_id from gold.fct_sales where event_type = 'sale'
),
unmatched as (
    select count(distinct event_id) as rows
    from gold.fct_sales as returned
    anti join sales on returned.original_transaction_id = sales.transaction_id
    where event_type = 'return'
),
over_cancelled as (
    select count(*) as rows
    from (select booking_id from gold.fct_cinema_attendance group by booking_id having sum(admissions) < 0)
)
select 'pos-transactions' as topic, 'unmatched_return' as rule, 'warn' as action, rows from unmatched
union all
select 'cinema-sales', 'over_cancelled', 'warn', rows from over_cancelled
