-- gold.customer_current: one row per customer: the latest version with the current segment.
-- grain        customer_id
-- reads        gold.dim_customer, work.dim_customer_segment
-- rebuild      never: a view
-- materialize  view
-- column       customer_key: key of the latest version
-- column       customer_id: the customer
-- column       name: full name; null after a delete
-- column       email: email address; null after a delete
-- column       signup_date: first day as a customer
-- column       birth_date: date of birth; null after a delete
-- column       city: home city
-- column       country: home country
-- column       loyalty_tier: none, bronze, silver or gold
-- column       preferred_genres: preferred genres, most preferred first
-- column       marketing_opt_in: whether the customer accepts marketing mail
-- column       is_inferred: whether the customer is known from facts only
-- column       segment: segment after the last ended day; `lapsed`: no purchase in 365 days; `prospect`: no purchase at
--              all
-- column       recency_score: 1 to 5; 5 is the most recent purchase; null for lapsed and prospect
-- column       frequency_score: 1 to 5; 5 is the most purchase days
-- column       monetary_score: 1 to 5; 5 is the most money spent
with
customers as (
    select
        customer_key, customer_id, name, email, signup_date, birth_date, city, country, loyalty_tier, preferred_genres,
        marketing_opt_in, is_deleted, is_inferred,
    from gold.dim_customer
    where customer_key > 0 and effective_to is null
),
segments as (
    select customer_id, segment, recency_score, frequency_score, monetary_score, is_current
    from work.dim_customer_segment -- open days suffice: current versions are in no closed day
    where customer_segment_key > 0 and effective_to is null
)
select
    customer_key,
    customer_id,
    name,
    email,
    signup_date,
    birth_date,
    city,
    country,
    loyalty_tier,
    preferred_genres,
    marketing_opt_in,
    is_deleted,
    is_inferred,
    case when is_current then segment when is_current is null then 'prospect' else 'lapsed' end as segment,
    case when is_current then recency_score end as recency_score,
    case when is_current then frequency_score end as frequency_score,
    case when is_current then monetary_score end as monetary_score,
from customers
left join segments using (customer_id)
