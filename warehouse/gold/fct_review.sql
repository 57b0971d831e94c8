-- gold.fct_review: one row per review of a product or of a title.
-- grain        event_id
-- reads        staging.fct_review, gold.dim_customer, gold.dim_product, gold.dim_anime_title
-- rebuild      rows are appended; rows of a member whose versions moved are removed and get new keys
-- materialize  fact
-- topic        customer-reviews
-- split        date_key
-- member       customer_key: dim_customer by customer_id at event_time
-- member       product_key: dim_product by product_id at event_time
-- member       title_key: dim_anime_title by title_id at event_time
-- column       event_id: the event
-- column       review_id: the review (degenerate dimension)
-- column       event_time: time of the review
-- column       date_key: UTC day of the review
-- column       time_of_day_key: UTC minute of the review
-- column       customer_key: version of the customer at event_time
-- column       product_key: version of the product at event_time; -2 for a review of a title
-- column       title_key: version of the title at event_time; -2 for a review of a product
-- column       rating: stars, 1 to 5
-- column       review_text: text of the review
-- column       verified_purchase: whether the reviewer bought it here
-- column       helpful_votes: number of readers who found it helpful
-- column       customer_id: the reviewer
-- column       product_id: the reviewed product; null for a review of a title
-- column       title_id: the reviewed title; null for a review of a product
with
customers as (
    select customer_key, customer_id, valid_from, effective_to from gold.dim_customer where customer_key > 0
),
products as (
    select product_key, product_id, valid_from, effective_to from gold.dim_product where product_key > 0
),
titles as (
    select title_key, title_id, valid_from, effective_to from gold.dim_anime_title where title_key > 0
),
keyed as (
    select
        staged.*,
        customers.customer_key,
        products.product_key,
        titles.title_key,
    from staging.fct_review as staged
    left join customers
        on staged.customer_id = customers.customer_id
        and staged.event_time >= customers.valid_from
        and (customers.effective_to is null or staged.event_time < customers.effective_to)
    left join products
        on staged.product_id = products.product_id
        and staged.event_time >= products.valid_from
        and (products.effective_to is null or staged.event_time < products.effective_to)
    left join titles
        on staged.title_id = titles.title_id
        and staged.event_time >= titles.valid_from
        and (titles.effective_to is null or staged.event_time < titles.effective_to)
)
select
    event_id,
    review_id,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    to_time_key(event_time) as time_of_day_key,
    customer_key,
    case when product_id is null then -2 else product_key end as product_key,
    case when title_id is null then -2 else title_key end as title_key,
    rating,
    review_text,
    verified_purchase,
    helpful_votes,
    customer_id,
    product_id,
    title_id,
    _arrival,
    _recorded_at,
from keyed
