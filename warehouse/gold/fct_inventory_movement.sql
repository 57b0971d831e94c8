-- gold.fct_inventory_movement: one row per movement of stock.
-- grain        event_id
-- reads        staging.fct_inventory_movement, gold.dim_product, gold.dim_warehouse, gold.dim_supplier
-- rebuild      rows are appended; rows of a member whose versions moved are removed and get new keys
-- materialize  fact
-- topic        inventory-updates
-- split        date_key
-- member       product_key: dim_product by product_id at event_time
-- column       event_id: the event
-- column       update_id: the movement (degenerate dimension)
-- column       event_type: delivery, adjustment, transfer_in, transfer_out or shrinkage
-- column       event_time: time of the movement
-- column       date_key: UTC day of the movement
-- column       time_of_day_key: UTC minute of the movement
-- column       product_key: version of the product at event_time
-- column       warehouse_key: the warehouse
-- column       supplier_key: the supplier; -2 for an event without supplier
-- column       quantity: units; negative if they leave the warehouse
-- column       unit_cost: cost of one unit, from the event
-- column       cost_amount: quantity times unit_cost; null if the event has no unit_cost
-- column       shipment_date: shipment date
-- column       expected_delivery: expected delivery date
-- column       quality_status: result of the inspection
-- column       product_id: the product
-- column       warehouse_id: the warehouse
-- column       supplier_id: the supplier
with
products as (
    select product_key, product_id, valid_from, effective_to from gold.dim_product where product_key > 0
),
keyed as (
    select
        staged.*,
        products.product_key,
        dim_warehouse.warehouse_key,
        dim_supplier.supplier_key,
    from staging.fct_inventory_movement as staged
    left join products
        on staged.product_id = products.product_id
        and staged.event_time >= products.valid_from
        and (products.effective_to is null or staged.event_time < products.effective_to)
    left join gold.dim_warehouse
        on staged.warehouse_id = dim_warehouse.warehouse_id and dim_warehouse.warehouse_key > 0
    left join gold.dim_supplier on staged.supplier_id = dim_supplier.supplier_id and dim_supplier.supplier_key > 0
)
select
    event_id,
    update_id,
    event_type,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    to_time_key(event_time) as time_of_day_key,
    product_key,
    warehouse_key,
    case when supplier_id is null then -2 else supplier_key end as supplier_key,
    quantity,
    unit_cost,
    -- decimal(19) holds every int64, so the product is exact at the edges of R5
    (quantity::decimal(19, 0) * unit_cost)::decimal(38, 4) as cost_amount,
    shipment_date,
    expected_delivery,
    quality_status,
    product_id,
    warehouse_id,
    supplier_id,
    _arrival,
    _recorded_at,
from keyed
