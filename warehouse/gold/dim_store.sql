-- gold.dim_store: one row per store; stores known from events only have an id and no attributes.
-- grain        store_id
-- reads        seeds.stores, staging.fct_sales
-- rebuild      members are only added; a changed seed file rebuilds gold
-- materialize  members
-- key          store_key: store_id
-- column       store_key: hash of store_id; -1 unknown (a store sale without store_id), -2 not applicable (not sold in
--              a store)
-- column       store_id: the store
-- column       name: display name
-- column       city: city of the location
-- column       country: country of the location
-- column       opened_on: opening date
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
