-- gold.customer_current: one row a customer: the latest version with the segment of today.
-- grain        customer_id
-- reads        gold.dim_customer, work.dim_customer_segment
-- rebuild      never: a view
-- materialize  view
-- column       customer_key: key of the latest version
-- column       customer_id: the customer
-- column       name: full name; blank after a delete
-- column       email: address for mail; blank after a delete
-- column       signup_date: first day as a customer
-- column       birth_date: day of birth; blank after a delete
-- column       city: home city
-- column       country: home country
-- column       loyalty_tier: none, bronze, silver or gold
-- column       preferred_genres: what they like, best first
-- column       marketing_opt_in: may be written to
-- column       is_inferred: known by facts alone
-- column       segment: segment after the last ended day; lapsed: no purchase in 365 days; prospect: none ever by then
-- column       recency_score: 1 to 5; 5 bought last; null when lapsed or prospect
-- column       frequency_score: 1 to 5; 5 on most days
-- column       monetary_score: 1 to 5; 5 spent most
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
    from work.dim_customer_segment -- last versions are in no closed day
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
