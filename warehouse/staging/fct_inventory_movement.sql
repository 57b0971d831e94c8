-- staging.fct_inventory_movement: new movements of stock, signed, with the ids of their members.
-- grain        event_id
-- reads        silver.inventory_updates
-- rebuild      never: a temporary table of one refresh
-- materialize  staging
select
    event_id,
    update_id,
    event_type,
    event_time,
    product_id,
    warehouse_id,
    supplier_id,
    case when event_type in ('transfer_out', 'shrinkage') then -quantity else quantity end as quantity,
    unit_cost,
    shipment_date,
    expected_delivery,
    quality_status,
    _arrival,
    _recorded_at,
from silver.inventory_updates
