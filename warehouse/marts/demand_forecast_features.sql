-- marts.demand_forecast_features: a dense grid of products and days, to forecast demand `horizon` days ahead.
-- call     marts.demand_forecast_features(cutoff, horizon := 7)
-- grain    product_id, date
-- reads    marts.as_bigint, marts.known_movements, marts.known_sales, marts.ratio, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- Only rows with event_time and _recorded_at up to the cutoff count (R40, R43). A row is a day to forecast: from the
-- first sale or movement of a product to `horizon` days after the last day that had ended at the cutoff. Days without
-- sales have 0 units. All lags and windows end `horizon` days before the date of the row, so they were known when the
-- forecast was made. Demand = units of sale lines; returns are not subtracted.
-- column  product_id: the product
-- column  date: the UTC day to forecast
-- column  split: `forecast` after the cutoff; `test` the last `horizon` known days, `validation` the `horizon` days
--         before; else `train`
-- column  units: units sold that day, the target; null in `forecast`
-- column  is_stocked_out: whether the day ended without stock, so units may be less than demand; null in `forecast`
-- column  day_of_week: 1 Monday to 7 Sunday
-- column  day_of_month: 1 to 31
-- column  month: 1 to 12
-- column  product_age_days: days since the product's first sale or movement
-- column  units_lag: units sold `horizon` days before
-- column  units_same_weekday: units sold on the latest same weekday at least `horizon` days before: the naive
--          forecast
-- column  mean_units_7_days: mean daily units of the 7 days that end `horizon` days before
-- column  mean_units_28_days: mean daily units of the 28 days that end `horizon` days before
-- column  mean_units_91_days: mean daily units of the 91 days that end `horizon` days before
-- column  selling_days_28_days: days of these 28 with a sale
-- column  mean_price_28_days: net sales ÷ units of these 28 days, null without sales
-- column  stock_lag: on hand at the end of the day `horizon` days before
-- column  stock_out_days_28_days: days of these 28 that ended without stock
create or replace macro marts.demand_forecast_features(cutoff, horizon := 7) as table
with
clock as (
    -- the day of the cutoff has not ended
    select make_timestamp(marts.utc_us(cutoff))::date - 1 as last_date
),
changes as (
    select
        product_id,
        date,
        case when event_type = 'sale' then quantity else 0 end as units,
        case when event_type = 'sale' then net_sales_amount else 0 end as sales_amount,
        -quantity as stock_change,
    from marts.known_sales(cutoff)
    union all
    select product_id, date, 0 as units, 0 as sales_amount, quantity as stock_change
    from marts.known_movements(cutoff)
),
daily as (
    select
        product_id,
        date,
        sum(units) as units,
        sum(sales_amount) as sales_amount,
        sum(stock_change) as stock_change,
    from changes, clock
    where date <= last_date
    group by all
),
products as (
    select product_id, min(date) as first_date from daily group by product_id
),
grid as (
    select
        product_id,
        first_date,
        last_date,
        unnest(range(first_date, last_date + horizon::integer + 1, interval 1 day))::date as date,
    from products, clock
),
filled as (
    select
        grid.*,
        coalesce(daily.units, 0) as units,
        coalesce(daily.sales_amount, 0) as sales_amount,
        sum(coalesce(daily.stock_change, 0)) over by_day as on_hand,
    from grid
    left join daily using (product_id, date)
    window by_day as (partition by product_id order by date rows unbounded preceding)
),
windows as (
    select
        *,
        any_value(units) over then_day as units_lag,
        any_value(units) over weekday as units_same_weekday,
        any_value(on_hand) over then_day as stock_lag,
        sum(units) over last_7 as units_7,
        count(*) over last_7 as days_7,
        sum(units) over last_28 as units_28,
        sum(sales_amount) over last_28 as sales_28,
        count(*) over last_28 as days_28,
        sum((units > 0)::integer) over last_28 as selling_days_28,
        sum((on_hand <= 0)::integer) over last_28 as stock_out_days_28,
        sum(units) over last_91 as units_91,
        count(*) over last_91 as days_91,
    from filled
    window
        days as (partition by product_id order by date),
        -- frames of one row, because DuckDB 1.5 cannot read a stored lag() with an offset
        then_day as (days rows between horizon::integer preceding and horizon::integer preceding),
        weekday as (
            days rows between (7 * ceil(horizon / 7))::integer preceding and (7 * ceil(horizon / 7))::integer preceding
        ),
        last_7 as (days rows between (horizon::integer + 6) preceding and horizon::integer preceding),
        last_28 as (days rows between (horizon::integer + 27) preceding and horizon::integer preceding),
        last_91 as (days rows between (horizon::integer + 90) preceding and horizon::integer preceding)
)
select
    product_id,
    date,
    case
        when date > last_date then 'forecast'
        when date > last_date - horizon::integer then 'test'
        when date > last_date - 2 * horizon::integer then 'validation'
        else 'train'
    end as split,
    marts.as_bigint(case when date <= last_date then units end) as units,
    case when date <= last_date then on_hand <= 0 end as is_stocked_out,
    isodow(date) as day_of_week,
    day(date) as day_of_month,
    month(date) as month,
    date - first_date as product_age_days,
    marts.as_bigint(units_lag) as units_lag,
    marts.as_bigint(units_same_weekday) as units_same_weekday,
    marts.ratio(units_7, days_7) as mean_units_7_days,
    marts.ratio(units_28, days_28) as mean_units_28_days,
    marts.ratio(units_91, days_91) as mean_units_91_days,
    selling_days_28::bigint as selling_days_28_days,
    marts.ratio(sales_28, units_28) as mean_price_28_days,
    marts.as_bigint(stock_lag) as stock_lag,
    stock_out_days_28::bigint as stock_out_days_28_days,
from windows;
