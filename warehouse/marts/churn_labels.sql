-- marts.churn_labels: which customers of marts.churn_features(cutoff) did not buy in the days after the cutoff.
-- call     marts.churn_labels(cutoff, days := 90)
-- grain    customer_id
-- reads    gold.fct_cinema_attendance, gold.fct_sales, marts.known_purchases, marts.utc_us, marts.watermark_us
-- rebuild  never: a macro
-- materialize  macro
-- Labels read events after the cutoff. There are no rows until the watermark is past the last of the days.
-- Late data can still correct a label.
-- column  customer_id: the customer
-- column  purchases: sales and bookings in the days after the cutoff
-- column  is_churned: whether there was none
create or replace macro marts.churn_labels(cutoff, days := 90) as table
with
clock as (
    select
        marts.utc_us(cutoff) as from_us,
        marts.utc_us(cutoff) + days::bigint * 86400000000 as to_us,
),
customers as (
    select distinct customer_id from marts.known_purchases(cutoff) where is_purchase
),
later as (
    select distinct customer_id, 'shop' as area, event_id
    from gold.fct_sales, clock
    where event_type = 'sale' and epoch_us(event_time) > from_us and epoch_us(event_time) <= to_us
    union all
    select customer_id, 'cinema' as area, event_id
    from gold.fct_cinema_attendance, clock
    where event_type = 'booking' and epoch_us(event_time) > from_us and epoch_us(event_time) <= to_us
),
counted as (
    select customer_id, count(*) as purchases from later group by customer_id
)
select
    customers.customer_id,
    coalesce(counted.purchases, 0) as purchases,
    counted.customer_id is null as is_churned,
from customers
cross join clock
left join counted using (customer_id)
where clock.to_us <= marts.watermark_us();
