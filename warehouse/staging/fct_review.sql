-- staging.fct_review: new reviews, with the ids of their members.
-- grain        event_id
-- reads        silver.customer_reviews
-- rebuild      never: a temporary table of one refresh
-- materialize  staging
select
    event_id,
    review_id,
    event_time,
    customer_id,
    product_id,
    title_id,
    rating,
    review_text,
    verified_purchase,
    coalesce(helpful_votes, 0) as helpful_votes,
    _arrival,
    _recorded_at,
from silver.customer_reviews
