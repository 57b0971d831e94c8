-- fail: one row a member, one member a key
select store_id, store_key
from gold.dim_store
qualify count(*) over (partition by store_key) > 1 or (store_key >= 0 and count(*) over (partition by store_key >= 0, store_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_store where store_key in (-1, -2) having count(*) <> 2;
