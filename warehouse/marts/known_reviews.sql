-- marts.known_reviews: reviews that had been written and had arrived in the log by the cutoff.
-- call     marts.known_reviews(cutoff)
-- grain    event_id
-- reads    gold.fct_review, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- column  event_id: the review
-- column  customer_id: the reviewer
-- column  product_id: the product reviewed, null for a title
-- column  title_id: the title reviewed, null for a product
-- column  event_us: time of the event, microseconds since 1970 UTC
-- column  rating: 1 to 5
create or replace macro marts.known_reviews(cutoff) as table
select
    event_id,
    customer_id,
    product_id,
    title_id,
    epoch_us(event_time) as event_us,
    rating,
from gold.fct_review
where epoch_us(event_time) <= marts.utc_us(cutoff) and epoch_us(_recorded_at) <= marts.utc_us(cutoff);
