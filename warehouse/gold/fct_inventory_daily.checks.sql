-- fail: stock at the end of a day is the stock of the day before plus the movements of the day
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

-- warn: stock is not negative
select product_id, warehouse_id, date, on_hand from changed.fct_inventory_daily where on_hand < 0;
