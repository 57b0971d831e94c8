-- marts.recommendation_labels: purchases of customers in the days after the cutoff.
-- call     marts.recommendation_labels(cutoff, days := 28)
-- grain    customer_id, item_type, item_id
-- reads    gold.fct_cinema_attendance, gold.fct_sales, marts.recommendation_interactions, marts.utc_us,
--          marts.watermark_us
-- rebuild  never: a macro
-- materialize  macro
-- Labels read events after the cutoff. There are no rows until the watermark is past the last of the days.
-- column  customer_id: the customer
-- column  item_type: `product` or `title`
-- column  item_id: product_id or title_id
-- column  purchases: sales or bookings of it in the days after the cutoff
-- column  is_new: whether the pair is not in marts.recommendation_interactions(cutoff)
create or replace macro marts.recommendation_labels(cutoff, days := 28) as table
with
clock as (
    select
        marts.utc_us(cutoff) as from_us,
        marts.utc_us(cutoff) + days::bigint * 86400000000 as to_us,
),
later as (
    select customer_id, 'product' as item_type, product_id as item_id, event_id, event_time
    from gold.fct_sales
    where customer_id is not null and event_type = 'sale'
    union all
    select customer_id, 'title' as item_type, title_id as item_id, event_id, event_time
    from gold.fct_cinema_attendance
    where customer_id is not null and event_type = 'booking'
),
bought as (
    select customer_id, item_type, item_id, count(distinct event_id) as purchases
    from later, clock
    where epoch_us(event_time) > from_us and epoch_us(event_time) <= to_us and to_us <= marts.watermark_us()
    group by customer_id, item_type, item_id
)
select
    customer_id,
    item_type,
    item_id,
    bought.purchases,
    known.customer_id is null as is_new,
from bought
left join marts.recommendation_interactions(cutoff) as known using (customer_id, item_type, item_id);
