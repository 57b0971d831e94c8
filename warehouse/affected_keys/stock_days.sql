-- affected.stock_days: the days of which the stock of a product in a warehouse is recomputed: days from a new movement
-- on, days by which gold grew, and days whose version of the product at the end of the day changed.
-- grain        product_id, warehouse_id, date_key
-- reads        staging.fct_inventory_movement, previous.fct_inventory_daily, moved.dim_product, ops.gold_clock,
--              replaced.gold_clock
-- rebuild      never: a temporary table of one refresh
-- materialize  scope
with
now as (
    select last_date from ops.gold_clock
),
pairs as (
    select product_id, warehouse_id, clock.last_date,
    from previous.fct_inventory_daily as stock
    join replaced.gold_clock as clock on stock.date_key = to_date_key(clock.last_date)
),
spans as (
    select product_id, warehouse_id, min(utc_day(event_time)) as from_date, any_value(now.last_date) as to_date,
    from staging.fct_inventory_movement
    cross join now
    group by product_id, warehouse_id
    union all
    select product_id, warehouse_id, pairs.last_date + 1, now.last_date,
    from pairs
    cross join now
    where now.last_date > pairs.last_date
    union all
    select pairs.product_id, warehouse_id, utc_day(moved_from), least(utc_day(moved_to), now.last_date),
    from pairs
    join moved.dim_product as moved using (product_id)
    cross join now
    where utc_day(moved_from) <= now.last_date
),
-- One span per pair. Days between two spans are recomputed with the same result.
joined as (
    select product_id, warehouse_id, min(from_date) as from_date, max(to_date) as to_date,
    from spans
    group by product_id, warehouse_id
),
days as (
    select product_id, warehouse_id, unnest(range(from_date, to_date + 1, interval 1 day))::date as date from joined
)
select product_id, warehouse_id, date, to_date_key(date) as date_key from days
