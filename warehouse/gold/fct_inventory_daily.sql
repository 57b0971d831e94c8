-- gold.fct_inventory_daily: stock of a product in a warehouse at the end of each UTC day, from the first movement of
-- the product in the warehouse to the last day with a business event. Days without movements have rows, too.
-- grain        product_id, warehouse_id, date_key
-- reads        affected.stock_days, previous.fct_inventory_daily, gold.fct_inventory_movement, gold.dim_product,
--              gold.dim_warehouse
-- rebuild      by product and warehouse, from the first affected day; all others get the new days
-- materialize  days
-- split        date_key
-- scope        affected.stock_days(product_id, warehouse_id, date_key)
-- previous     date_key integer, product_id varchar, warehouse_id varchar, on_hand decimal(38, 0)
-- column       date_key: UTC day
-- column       date: UTC day
-- column       product_key: version of the product at the end of the day
-- column       warehouse_key: the warehouse
-- column       received_quantity: units received on the day
-- column       issued_quantity: units issued on the day, as a positive number
-- column       net_quantity: received less issued
-- column       on_hand: units at the end of the day; can be added over products and warehouses, not over days
-- column       product_id: the product
-- column       warehouse_id: the warehouse
with
spans as (
    select product_id, warehouse_id, min(date) as from_date,
    from affected.stock_days
    group by product_id, warehouse_id
),
opening as (
    select spans.product_id, spans.warehouse_id, stock.on_hand,
    from spans
    join previous.fct_inventory_daily as stock
        on spans.product_id = stock.product_id
        and spans.warehouse_id = stock.warehouse_id
        and stock.date_key = to_date_key(spans.from_date - 1)
),
moves as (
    select
        product_id,
        warehouse_id,
        date_key,
        sum(quantity)::decimal(38, 0) as net_quantity,
        coalesce(sum(quantity) filter (quantity > 0), 0)::decimal(38, 0) as received_quantity,
    from gold.fct_inventory_movement
    semi join affected.stock_days using (product_id, warehouse_id, date_key)
    group by product_id, warehouse_id, date_key
),
running as (
    select
        stock_days.*,
        coalesce(moves.net_quantity, 0) as net_quantity,
        coalesce(moves.received_quantity, 0) as received_quantity,
        coalesce(opening.on_hand, 0) + coalesce(sum(moves.net_quantity) over to_date, 0) as on_hand,
        opening.on_hand is not null or count(moves.net_quantity) over to_date > 0 as has_begun,
    from affected.stock_days
    left join moves using (product_id, warehouse_id, date_key)
    left join opening using (product_id, warehouse_id)
    window to_date as (partition by product_id, warehouse_id order by date)
),
products as (
    select product_key, product_id, valid_from, effective_to from gold.dim_product where product_key > 0
)
select
    date_key,
    date,
    products.product_key,
    dim_warehouse.warehouse_key,
    received_quantity::decimal(38, 0) as received_quantity,
    (received_quantity - net_quantity)::decimal(38, 0) as issued_quantity,
    net_quantity::decimal(38, 0) as net_quantity,
    on_hand::decimal(38, 0) as on_hand,
    running.product_id,
    running.warehouse_id,
from running
left join products
    on running.product_id = products.product_id
    and day_end(date_key) >= products.valid_from
    and (products.effective_to is null or day_end(date_key) < products.effective_to)
left join gold.dim_warehouse
    on running.warehouse_id = dim_warehouse.warehouse_id and dim_warehouse.warehouse_key > 0
where has_begun
