-- gold.dim_warehouse: one row a warehouse; those without a row in the seeds are known by their id alone.
-- grain        warehouse_id
-- reads        seeds.warehouses, staging.fct_inventory_movement
-- rebuild      members are only added; an edited seed is read again
-- materialize  members
-- key          warehouse_key: warehouse_id
-- column       warehouse_key: hash of warehouse_id; -1 unknown, -2 not applicable
-- column       warehouse_id: the warehouse
-- column       name: what it is called
-- column       city: where it is
-- column       country: where it is
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
