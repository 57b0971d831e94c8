-- marts.churn_features: features of each customer with a purchase, as known at the cutoff.
-- call     marts.churn_features(cutoff)
-- grain    customer_id
-- reads    marts.known_purchases, marts.known_reviews, marts.known_sales, marts.ratio, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- Only rows with event_time and _recorded_at up to the cutoff count (R40, R43): later events change no row. Windows are
-- the 30, 90 or 365 times 24 hours up to the cutoff. Labels: marts.churn_labels. Exact sums are returned as doubles.
-- column  customer_id: the customer
-- column  cutoff_at: the cutoff, UTC
-- column  tenure_days: days since the first purchase
-- column  recency_days: days since the last purchase
-- column  purchase_days: days with a sale or booking
-- column  mean_gap_days: mean days between purchase days; null with one purchase day
-- column  overdue_ratio: recency_days ÷ mean_gap_days, null with one purchase day
-- column  purchases_30_days: sales and bookings in 30 days
-- column  purchases_90_days: sales and bookings in 90 days
-- column  purchases_365_days: sales and bookings in 365 days
-- column  money_30_days: net sales, tickets and concessions in 30 days
-- column  money_90_days: net sales, tickets and concessions in 90 days
-- column  money_365_days: net sales, tickets and concessions in 365 days
-- column  sales_365_days: sales in the shop in 365 days
-- column  bookings_365_days: bookings in the cinema in 365 days
-- column  online_share: share of all purchases made online or on mobile
-- column  taken_back: number of returns and cancellations
-- column  discount_share: discounts ÷ gross sales of the shop's sales
-- column  distinct_products: number of distinct products bought
-- column  reviews: number of reviews
-- column  mean_rating: mean rating; null without reviews
create or replace macro marts.churn_features(cutoff) as table
with
clock as (
    select marts.utc_us(cutoff) as now_us, 86400000000::bigint as day_us
),
purchases as (
    select purchases.*, (now_us - event_us) / day_us as age_days
    from marts.known_purchases(cutoff) as purchases, clock
),
customers as (
    select
        customer_id,
        max(age_days) filter (is_purchase) as tenure_days,
        min(age_days) filter (is_purchase) as recency_days,
        count(distinct date) filter (is_purchase) as purchase_days,
        max(date) filter (is_purchase) - min(date) filter (is_purchase) as span_days,
        count(*) filter (is_purchase) as purchases,
        count(*) filter (is_purchase and age_days < 30) as purchases_30_days,
        count(*) filter (is_purchase and age_days < 90) as purchases_90_days,
        count(*) filter (is_purchase and age_days < 365) as purchases_365_days,
        coalesce(sum(money_amount) filter (age_days < 30), 0)::double as money_30_days,
        coalesce(sum(money_amount) filter (age_days < 90), 0)::double as money_90_days,
        coalesce(sum(money_amount) filter (age_days < 365), 0)::double as money_365_days,
        count(*) filter (is_purchase and area = 'shop' and age_days < 365) as sales_365_days,
        count(*) filter (is_purchase and area = 'cinema' and age_days < 365) as bookings_365_days,
        count(*) filter (is_purchase and channel in ('online', 'mobile')) as online_purchases,
        count(*) filter (not is_purchase) as taken_back,
        sum(discount_amount) filter (is_purchase and area = 'shop') as discount_amount,
        sum(money_amount) filter (is_purchase and area = 'shop') as shop_amount,
    from purchases
    group by customer_id
    having count(*) filter (is_purchase) > 0
),
products as (
    select customer_id, count(distinct product_id) as distinct_products
    from marts.known_sales(cutoff)
    where event_type = 'sale'
    group by customer_id
),
reviews as (
    select customer_id, count(*) as reviews, sum(rating) as stars
    from marts.known_reviews(cutoff)
    group by customer_id
)
select
    customers.customer_id,
    make_timestamp(clock.now_us) as cutoff_at,
    tenure_days,
    recency_days,
    purchase_days,
    marts.ratio(span_days, purchase_days - 1) as mean_gap_days,
    recency_days / marts.ratio(span_days, purchase_days - 1) as overdue_ratio,
    purchases_30_days,
    purchases_90_days,
    purchases_365_days,
    money_30_days,
    money_90_days,
    money_365_days,
    sales_365_days,
    bookings_365_days,
    marts.ratio(online_purchases, purchases) as online_share,
    taken_back,
    marts.ratio(discount_amount, shop_amount + discount_amount) as discount_share,
    coalesce(products.distinct_products, 0) as distinct_products,
    coalesce(reviews.reviews, 0) as reviews,
    marts.ratio(reviews.stars, reviews.reviews) as mean_rating,
from customers
cross join clock
left join products using (customer_id)
left join reviews using (customer_id);
