-- gold.dim_customer: one row per version of a customer (SCD2): a change of loyalty tier, city or country opens a
-- version.
-- grain        customer_id, valid_from
-- reads        silver.customer_profiles
-- rebuild      by customer_id: a late change recomputes all versions of the member; a rerun gives the same rows and
--              keys
-- materialize  history
-- topic        customer-profiles
-- key          customer_key: customer_id
-- tracked      loyalty_tier, city, country
-- personal     name, email, birth_date
-- column       customer_key: version key, a hash of customer_id and valid_from; -1 guest or unknown, -2 not applicable
-- column       customer_id: the customer
-- column       name: full name; null up to a delete
-- column       email: email address; null up to a delete
-- column       signup_date: first day as a customer
-- column       birth_date: date of birth; null up to a delete
-- column       city: home city
-- column       country: home country
-- column       loyalty_tier: none, bronze, silver or gold
-- column       preferred_genres: preferred genres, most preferred first
-- column       marketing_opt_in: whether the customer accepts marketing mail
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
