-- marts.customer_segments: one row per customer: segment, scores and the numbers behind them.
-- grain    customer_id
-- reads    gold.customer_current, gold.dim_customer_segment, gold.fct_customer_engagement, marts.last_ended_date,
--          marts.utc_day
-- rebuild  never: a view
-- materialize  view
-- Segment and scores are those of gold.dim_customer_segment (R36): quintiles over the trailing 365 days, recomputed at
-- each day's end. Recency, frequency and money are of the same 365 days. They are null for customers
-- without a purchase in them, whose segment is `lapsed`, or `prospect` without any purchase.
-- column  customer_id: the customer
-- column  segment: current segment
-- column  recency_score: 1 to 5, 5 for the most recent
-- column  frequency_score: 1 to 5, 5 for the most purchase days
-- column  monetary_score: 1 to 5, 5 for the most money
-- column  segment_since_date: day since which segment and scores are valid; null for lapsed and prospect
-- column  as_of_date: last ended day, to which the numbers refer
-- column  recency_days: days since the last purchase day
-- column  frequency: purchase days
-- column  monetary_amount: net sales, tickets and concessions
with
customers as (
    select customer_id, segment, recency_score, frequency_score, monetary_score from gold.customer_current
),
versions as (
    select customer_id, valid_from
    from gold.dim_customer_segment
    where customer_segment_key > 0 and is_current
),
clock as (
    select marts.last_ended_date() as as_of_date
),
purchases as (
    select
        customer_id,
        max(date) filter (is_purchase_day) as last_date,
        count(*) filter (is_purchase_day) as frequency,
        sum(spent_amount) as monetary_amount,
    from gold.fct_customer_engagement
    semi join versions using (customer_id)
    cross join clock
    where date > as_of_date - 365 and date <= as_of_date
    group by customer_id
)
select
    customer_id,
    customers.segment,
    customers.recency_score,
    customers.frequency_score,
    customers.monetary_score,
    marts.utc_day(versions.valid_from) as segment_since_date,
    clock.as_of_date,
    clock.as_of_date - purchases.last_date as recency_days,
    purchases.frequency,
    purchases.monetary_amount,
from customers
cross join clock
left join versions using (customer_id)
left join purchases using (customer_id);
