-- marts.customer_purchases: purchases of each customer up to the end of a UTC day, in the terms of BG/NBD.
-- call     marts.customer_purchases(as_of)
-- grain    customer_id, for customers with a purchase day by then
-- reads    gold.fct_customer_engagement, marts.ratio, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- A purchase day is a day with a sale or a booking (R36). Money of a day = net sales + tickets + concessions.
-- column  customer_id: the customer
-- column  first_date: first purchase day
-- column  last_date: last purchase day
-- column  frequency: purchase days after the first
-- column  recency: days from the first purchase day to the last
-- column  t: days from the first purchase day to as_of
-- column  monetary_value: mean money of the purchase days after the first; 0 if there is none
create or replace macro marts.customer_purchases(as_of) as table
with
purchase_days as (
    select
        customer_id,
        date,
        spent_amount,
        min(date) over (partition by customer_id) as first_date,
    from gold.fct_customer_engagement
    where is_purchase_day and date <= make_timestamp(marts.utc_us(as_of))::date
),
customers as (
    select
        customer_id,
        first_date,
        max(date) as last_date,
        count(*) - 1 as frequency,
        sum(spent_amount) filter (date > first_date) as repeat_amount,
    from purchase_days
    group by customer_id, first_date
)
select
    customer_id,
    first_date,
    last_date,
    frequency,
    last_date - first_date as recency,
    make_timestamp(marts.utc_us(as_of))::date - first_date as t,
    coalesce(marts.ratio(repeat_amount, frequency), 0) as monetary_value,
from customers;
