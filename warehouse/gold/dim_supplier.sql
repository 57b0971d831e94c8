-- gold.dim_supplier: one row per supplier; suppliers known from events only have an id and no attributes.
-- grain        supplier_id
-- reads        seeds.suppliers, staging.fct_inventory_movement, silver.product_catalog
-- rebuild      members are only added; a changed seed file rebuilds gold
-- materialize  members
-- key          supplier_key: supplier_id
-- column       supplier_key: hash of supplier_id; -1 unknown, -2 not applicable (not a delivery)
-- column       supplier_id: the supplier
-- column       name: display name
-- column       country: country of the location
-- column       lead_time_days: days from order to delivery
with
seen as (
    select supplier_id from staging.fct_inventory_movement where supplier_id is not null
    union
    select supplier_id from silver.product_catalog where supplier_id is not null
)
select
    supplier_id,
    suppliers.name,
    suppliers.country,
    suppliers.lead_time_days::bigint as lead_time_days,
from seeds.suppliers
full join seen using (supplier_id)
