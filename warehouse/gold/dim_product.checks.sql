-- warn: a product's cost is at most its list price
select product_id, valid_from, unit_cost, list_price
from changed.dim_product
where unit_cost > list_price;
