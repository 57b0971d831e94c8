-- fail: the grain holds
select event_id, event_time, count(*)
from changed.fct_inventory_movement
group by event_id, event_time
having count(*) > 1;

-- warn: an event_id came again once the horizon had passed it
select event_id, count(*) from changed.fct_inventory_movement group by event_id having count(*) > 1;

-- fail: no key is null
select *
from changed.fct_inventory_movement
where date_key is null or time_of_day_key is null or product_key is null or warehouse_key is null or supplier_key is null;

-- fail: product_key is the version of product_id that was valid at event_time
select fact.event_id, fact.product_id, fact.event_time, fact.product_key
from changed.fct_inventory_movement as fact
left join gold.dim_product as dim on fact.product_key = dim.product_key
where dim.product_key is null
    or (fact.product_id is null) <> (fact.product_key < 0)
    or (
        fact.product_key > 0
        and (
            fact.product_id <> dim.product_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: what comes in is positive, what leaves is negative
select event_id, event_type, quantity
from changed.fct_inventory_movement
where (event_type in ('delivery', 'transfer_in') and quantity <= 0)
    or (event_type in ('shrinkage', 'transfer_out') and quantity >= 0);
