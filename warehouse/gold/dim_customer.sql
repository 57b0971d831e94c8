-- gold.dim_customer: one row per version of a customer (SCD2): loyalty tier, city and country open a new one.
-- grain        customer_id, valid_from
-- reads        silver.customer_profiles
-- rebuild      by customer_id: a late change re-cuts its neighbours; a rerun gives the same rows and keys
-- materialize  history
-- key          customer_key: customer_id
-- tracked      loyalty_tier, city, country
-- personal     name, email, birth_date
-- column       customer_key: version key, a hash of customer_id and valid_from; -1 a guest or unknown, -2 not applicable
-- column       customer_id: the customer
-- column       name: full name; blank up to a delete
-- column       email: address for mail; blank up to a delete
-- column       signup_date: first day as a customer
-- column       birth_date: day of birth; blank up to a delete
-- column       city: home city
-- column       country: home country
-- column       loyalty_tier: none, bronze, silver or gold
-- column       preferred_genres: what they like, best first
-- column       marketing_opt_in: may be written to
select
    customer_id,
    event_type,
    event_time,
    _partition,
    _offset,
    _recorded_at,
    name,
    email,
    signup_date,
    birth_date,
    city,
    country,
    loyalty_tier,
    preferred_genres,
    marketing_opt_in,
from silver.customer_profiles
