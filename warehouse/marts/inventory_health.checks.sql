-- fail: a product has one row
select product_id, count(*) from marts.inventory_health group by product_id having count(*) > 1;

-- fail: on hand is the sum of movements less net units sold, to the last unit
select stock.on_hand, moved.units, sold.units
from (select coalesce(sum(on_hand), 0) as on_hand from marts.inventory_health) as stock
cross join (select coalesce(sum(quantity), 0) as units from gold.fct_inventory_movement) as moved
cross join (select coalesce(sum(net_units), 0) as units from marts.product_daily) as sold
where stock.on_hand <> moved.units - sold.units;

-- warn: stock is not negative
select product_id, on_hand from marts.inventory_health where on_hand < 0;
