-- marts.cross_sell_rate: how many customers used both shop and cinema in the days up to as_of.
-- call     marts.cross_sell_rate(as_of, days := 90)
-- grain    one row
-- reads    gold.fct_customer_engagement, marts.ratio, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- Cross-sell rate = customers active in both ÷ customers active in either. Active in the shop: a sale; in the cinema: a
-- booking. Returns, cancellations and guests do not count. The window is `days` UTC days that end with
-- the UTC day of as_of, whatever the session's time zone.
-- column  as_of_date: last day of the window
-- column  days: length of the window
-- column  shop_customers: customers with a sale
-- column  cinema_customers: customers with a booking
-- column  both_customers: customers with both
-- column  either_customers: customers with at least one
-- column  cross_sell_rate: both ÷ either, null if there is none
create or replace macro marts.cross_sell_rate(as_of, days := 90) as table
with
windows as (
    select make_timestamp(marts.utc_us(as_of))::date as last_date
),
per_customer as (
    select
        customer_id,
        max(orders) > 0 as in_shop,
        max(bookings) > 0 as in_cinema,
    from gold.fct_customer_engagement, windows
    where date > last_date - days::integer and date <= last_date
    group by customer_id
),
totals as (
    select
        count(*) filter (in_shop) as shop_customers,
        count(*) filter (in_cinema) as cinema_customers,
        count(*) filter (in_shop and in_cinema) as both_customers,
        count(*) filter (in_shop or in_cinema) as either_customers,
    from per_customer
)
select
    last_date as as_of_date,
    days::integer as days,
    shop_customers,
    cinema_customers,
    both_customers,
    either_customers,
    marts.ratio(both_customers, either_customers) as cross_sell_rate,
from totals, windows;
