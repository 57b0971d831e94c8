-- marts.recommendation_interactions: interactions of customers with products and titles up to the cutoff.
-- call     marts.recommendation_interactions(cutoff, holdout_days := 28)
-- grain    customer_id, item_type, item_id
-- reads    marts.as_bigint, marts.known_bookings, marts.known_reviews, marts.known_sales, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- Only rows with event_time and _recorded_at up to the cutoff count (R40, R43). The split is by time: pairs with their
-- first interaction in the holdout days before the cutoff are `test`, all earlier ones `train`. Labels:
-- marts.recommendation_labels.
-- column  customer_id: the customer
-- column  item_type: `product` or `title`
-- column  item_id: product_id or title_id
-- column  purchases: sales or bookings of it
-- column  units: net units or admissions, less returns and cancellations
-- column  money_amount: net sales, or tickets and concessions
-- column  rating: latest rating by the customer; null without a rating
-- column  first_at: first interaction, UTC
-- column  last_at: last interaction, UTC
-- column  days_since_last: days from the last interaction to the cutoff
-- column  split: `train` or `test`
create or replace macro marts.recommendation_interactions(cutoff, holdout_days := 28) as table
with
interactions as (
    select
        customer_id, 'product' as item_type, product_id as item_id, event_id, event_us,
        event_type = 'sale' as is_purchase, quantity as units, net_sales_amount as money_amount, null::bigint as rating,
    from marts.known_sales(cutoff)
    union all
    select
        customer_id, 'title' as item_type, title_id as item_id, event_id, event_us,
        event_type = 'booking' as is_purchase, admissions as units, cinema_amount as money_amount, null as rating,
    from marts.known_bookings(cutoff)
    union all
    select
        customer_id, case when product_id is null then 'title' else 'product' end as item_type,
        coalesce(product_id, title_id) as item_id, event_id, event_us,
        false as is_purchase, 0 as units, 0 as money_amount, rating,
    from marts.known_reviews(cutoff)
),
pairs as (
    select
        customer_id,
        item_type,
        item_id,
        count(distinct event_id) filter (is_purchase) as purchases,
        sum(units) as units,
        sum(money_amount) as money_amount,
        max_by(rating, (event_us, event_id)) filter (rating is not null) as rating,
        min(event_us) as first_us,
        max(event_us) as last_us,
    from interactions
    where customer_id is not null
    group by customer_id, item_type, item_id
),
clock as (
    select marts.utc_us(cutoff) as now_us, holdout_days::bigint * 86400000000 as holdout_us
)
select
    customer_id,
    item_type,
    item_id,
    purchases,
    marts.as_bigint(units) as units,
    money_amount::double as money_amount,
    rating,
    make_timestamp(first_us) as first_at,
    make_timestamp(last_us) as last_at,
    (now_us - last_us) / 86400000000 as days_since_last,
    case when first_us > now_us - holdout_us then 'test' else 'train' end as split,
from pairs
cross join clock;
