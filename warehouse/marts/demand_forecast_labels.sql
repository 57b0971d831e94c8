-- marts.demand_forecast_labels: units sold on the days of the `forecast` rows of the features.
-- call     marts.demand_forecast_labels(cutoff, horizon := 7)
-- grain    product_id, date
-- reads    marts.as_bigint, marts.known_movements, marts.known_sales, marts.product_daily, marts.last_ended_date,
--          marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- Labels read events after the cutoff; only days that have ended. Late data can still correct a label.
-- column  product_id: a product known at the cutoff
-- column  date: a UTC day after the last that had ended at the cutoff, at most `horizon` days after it
-- column  units: units of sale lines that day; 0 without sales
create or replace macro marts.demand_forecast_labels(cutoff, horizon := 7) as table
with
clock as (
    select make_timestamp(marts.utc_us(cutoff))::date as first_date, marts.last_ended_date() as last_date
),
products as (
    select product_id from marts.known_sales(cutoff), clock where date < first_date
    union
    select product_id from marts.known_movements(cutoff), clock where date < first_date
),
days as (
    select unnest(
        range(first_date, least(first_date + horizon::integer, last_date + 1), interval 1 day)
    )::date as date,
    from clock
)
select
    products.product_id,
    days.date,
    marts.as_bigint(coalesce(sold.units_sold, 0)) as units,
from products
cross join days
left join marts.product_daily as sold using (product_id, date);
