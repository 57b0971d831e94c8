-- fail: the grain holds
select product_id, warehouse_id, date_key, count(*)
from changed.fct_inventory_daily
group by product_id, warehouse_id, date_key
having count(*) > 1;

-- fail: no key is null
select product_id, warehouse_id, date_key
from changed.fct_inventory_daily
where date_key is null or product_key is null or warehouse_key is null;

-- fail: stock at the end of a day is that of the day before and what moved
select product_id, warehouse_id, date, on_hand, on_hand_before, net_quantity
from (
    select
        *,
        lag(on_hand) over in_time as on_hand_before,
        lag(date) over in_time as date_before,
    from changed.fct_inventory_daily
    window in_time as (partition by product_id, warehouse_id order by date)
)
where net_quantity <> received_quantity - issued_quantity
    or (date_before is not null and (date_before <> date - 1 or on_hand <> on_hand_before + net_quantity));

-- warn: more left a warehouse than was counted in
select product_id, warehouse_id, date, on_hand from changed.fct_inventory_daily where on_hand < 0;
