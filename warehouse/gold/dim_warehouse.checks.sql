-- fail: one row a member, one member a key
select warehouse_id, warehouse_key
from gold.dim_warehouse
qualify count(*) over (partition by warehouse_key) > 1 or (warehouse_key >= 0 and count(*) over (partition by warehouse_key >= 0, warehouse_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_warehouse where warehouse_key in (-1, -2) having count(*) <> 2;
