-- marts.inventory_health: how much of each product there is, how long it lasts, whether to order again.
-- grain    product_id
-- reads    gold.fct_inventory_movement, marts.product_current, marts.product_daily, marts.last_ended_date,
--          marts.ratio, marts.utc_day
-- rebuild  whole: a view
-- materialize  view
-- On hand = signed movements − net units sold, everything known now (R37): per product, as no sale says which warehouse
-- it came from. Days of supply = on hand ÷ mean daily net units of the last 28 days that have ended; null when nothing
-- sold in them. A stock-out day is one of these 28 at whose end on hand was 0 or less, from the first event on.
-- column  product_id: the product
-- column  name: what it is called now
-- column  status: `active` or `discontinued`
-- column  as_of_date: last day that has ended; the 28 days end with it
-- column  on_hand: units in all warehouses together; negative when more was sold than counted in
-- column  net_units_28_days: net units sold in the 28 days
-- column  mean_daily_units: net units of the 28 days ÷ 28
-- column  days_of_supply: on hand ÷ mean daily units, 0 when nothing is left; null when nothing sells
-- column  stock_out_days: days of the 28 that ended without stock
-- column  reorder_point: order again at or under this stock
-- column  reorder_now: active, in the catalog, and on hand at or under the reorder point
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
-- A day's closing stock is today's less all that happened after the day: only recent rows are looked at.
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
