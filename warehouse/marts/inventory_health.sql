-- marts.inventory_health: stock of each product, how long it lasts, and whether to reorder.
-- grain    product_id
-- reads    gold.fct_inventory_movement, marts.product_current, marts.product_daily, marts.last_ended_date,
--          marts.ratio, marts.utc_day
-- rebuild  never: a view
-- materialize  view
-- On hand = signed movements − net units sold, of all events (R37). It is per product, because a sale does not name a
-- warehouse. Days of supply = on hand ÷ mean daily net units of the last 28 ended days; null without sales in them. A
-- stock-out day is one of these 28 days that ended with on hand at or below 0, from the first event of the product on.
-- column  product_id: the product
-- column  name: current display name
-- column  status: `active` or `discontinued`
-- column  as_of_date: last ended day, the last of the 28 days
-- column  on_hand: units in all warehouses together; negative if more was sold than received
-- column  net_units_28_days: net units sold in the 28 days
-- column  mean_daily_units: net units of the 28 days ÷ 28
-- column  days_of_supply: on hand ÷ mean daily units, 0 without stock; null without sales
-- column  stock_out_days: days of the 28 that ended without stock
-- column  reorder_point: stock at or under which to reorder
-- column  reorder_now: whether it is active, in the catalog, and on hand is at or under the reorder point
-- column  last_delivery_date: day of the last delivery
with
products as (
    select product_id, name, status, reorder_point, status = 'active' and not is_deleted as is_on_sale,
    from marts.product_current
),
clock as (
    select marts.last_ended_date() as as_of_date
),
changes as (
    select product_id, date, -net_units as units from marts.product_daily
    union all
    select product_id, marts.utc_day(event_time) as date, quantity::decimal(38, 0) as units
    from gold.fct_inventory_movement
),
daily as (
    select product_id, date, sum(units) as units from changes group by all
),
stock as (
    select product_id, sum(units) as on_hand, min(date) as first_date from daily group by product_id
),
sold as (
    select product_id, sum(net_units) as net_units
    from marts.product_daily, clock
    where date between as_of_date - 27 and as_of_date
    group by product_id
),
delivered as (
    select product_id, max(marts.utc_day(event_time)) as last_delivery_date
    from gold.fct_inventory_movement
    where event_type = 'delivery'
    group by product_id
),
-- The closing stock of a day is the current stock less all later changes, so only recent rows are read.
closing as (
    select
        stock.product_id,
        day.date,
        stock.on_hand - coalesce(sum(daily.units), 0) as on_hand,
    from stock
    cross join (select unnest(range(as_of_date - 27, as_of_date + 1, interval 1 day))::date as date from clock) as day
    left join (select daily.* from daily, clock where date > as_of_date - 27) as daily
        on daily.product_id = stock.product_id and daily.date > day.date
    where day.date >= stock.first_date
    group by stock.product_id, day.date, stock.on_hand
),
stock_outs as (
    select product_id, count(*) filter (on_hand <= 0) as stock_out_days from closing group by product_id
)
select
    products.product_id,
    products.name,
    products.status,
    clock.as_of_date,
    coalesce(stock.on_hand, 0) as on_hand,
    coalesce(sold.net_units, 0) as net_units_28_days,
    marts.ratio(coalesce(sold.net_units, 0), 28) as mean_daily_units,
    case when sold.net_units > 0 then marts.ratio(greatest(coalesce(stock.on_hand, 0), 0) * 28, sold.net_units) end
        as days_of_supply,
    coalesce(stock_outs.stock_out_days, 0) as stock_out_days,
    products.reorder_point,
    coalesce(products.is_on_sale and coalesce(stock.on_hand, 0) <= products.reorder_point, false) as reorder_now,
    delivered.last_delivery_date,
from products
cross join clock
left join stock using (product_id)
left join sold using (product_id)
left join delivered using (product_id)
left join stock_outs using (product_id);
