-- gold.dim_warehouse: one row per warehouse; warehouses known from events only have an id and no attributes.
-- grain        warehouse_id
-- reads        seeds.warehouses, staging.fct_inventory_movement
-- rebuild      members are only added; a changed seed file rebuilds gold
-- materialize  members
-- key          warehouse_key: warehouse_id
-- column       warehouse_key: hash of warehouse_id; -1 unknown, -2 not applicable
-- column       warehouse_id: the warehouse
-- column       name: display name
-- column       city: city of the location
-- column       country: country of the location
with
seen as (
    select distinct warehouse_id from staging.fct_inventory_movement
)
select
    warehouse_id,
    warehouses.name,
    warehouses.city,
    warehouses.country,
from seeds.warehouses
full join seen using (warehouse_id)
