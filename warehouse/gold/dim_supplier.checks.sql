-- fail: one row a member, one member a key
select supplier_id, supplier_key
from gold.dim_supplier
qualify count(*) over (partition by supplier_key) > 1 or (supplier_key >= 0 and count(*) over (partition by supplier_key >= 0, supplier_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_supplier where supplier_key in (-1, -2) having count(*) <> 2;
