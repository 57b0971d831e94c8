-- marts.known_movements: stock movements that had happened and had arrived in the log by the cutoff.
-- call     marts.known_movements(cutoff)
-- grain    event_id
-- reads    gold.fct_inventory_movement, marts.utc_day, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- column  event_id: the movement
-- column  product_id: the product
-- column  date: UTC day
-- column  quantity: units, signed: what the stock gained
create or replace macro marts.known_movements(cutoff) as table
select
    event_id,
    product_id,
    marts.utc_day(event_time) as date,
    quantity,
from gold.fct_inventory_movement
where epoch_us(event_time) <= marts.utc_us(cutoff) and epoch_us(_recorded_at) <= marts.utc_us(cutoff);
