-- gold.dim_store: one row a store; those without a row in the seeds are known by their id alone.
-- grain        store_id
-- reads        seeds.stores, staging.fct_sales
-- rebuild      members are only added; an edited seed is read again
-- materialize  members
-- key          store_key: store_id
-- column       store_key: hash of store_id; -1 unknown (a store sale that names none), -2 not applicable (not sold in a store)
-- column       store_id: the store
-- column       name: what it is called
-- column       city: where it is
-- column       country: where it is
-- column       opened_on: its first day
with
seen as (
    select distinct store_id from staging.fct_sales where channel = 'store' and store_id is not null
)
select
    store_id,
    stores.name,
    stores.city,
    stores.country,
    stores.opened_on::date as opened_on,
from seeds.stores
full join seen using (store_id)
