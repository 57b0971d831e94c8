-- marts.channel_conversion: cross-sell between shop and cinema, by area and channel of the first purchase.
-- grain    first_area, first_channel
-- reads    gold.fct_cinema_attendance, gold.fct_sales, marts.ratio
-- rebuild  never: a view
-- materialize  view
-- The first purchase of a customer is the earliest sale or booking; at one instant the cinema is first, then the
-- smaller event_id. A customer is converted by a later purchase in the other area. Guests, returns and cancellations
-- are not counted. Counts add up over channels; the rate of an area is a ratio of these sums.
-- column  first_area: `shop` or `cinema`
-- column  first_channel: channel of the first purchase
-- column  customers: customers with their first purchase there
-- column  converted_customers: those who later bought in the other area
-- column  conversion_rate: converted ÷ customers
-- column  converted_30_days_customers: those who did within 30 days
-- column  converted_90_days_customers: those who did within 90 days
-- column  seconds_to_second: time from the first purchase to the first in the other area, summed over the converted
-- column  mean_days_to_second: its mean in days
-- column  median_days_to_second: its median in days
with
purchases as (
    select customer_id, 'shop' as area, channel, event_time, event_id
    from gold.fct_sales
    where customer_id is not null and event_type = 'sale'
    union all
    select customer_id, 'cinema' as area, channel, event_time, event_id
    from gold.fct_cinema_attendance
    where customer_id is not null and event_type = 'booking'
),
firsts as (
    select
        customer_id,
        area,
        min(event_time) as first_at,
        min_by(channel, (event_time, event_id)) as channel,
    from purchases
    group by customer_id, area
),
customers as (
    select
        customer_id,
        min_by(area, (first_at, area)) as first_area,
        min_by(channel, (first_at, area)) as first_channel,
        case when count(*) = 2 then epoch_us(max(first_at)) - epoch_us(min(first_at)) end as microseconds_to_second,
    from firsts
    group by customer_id
)
select
    first_area,
    first_channel,
    count(*) as customers,
    count(microseconds_to_second) as converted_customers,
    marts.ratio(count(microseconds_to_second), count(*)) as conversion_rate,
    count(*) filter (microseconds_to_second <= 30 * 86400000000) as converted_30_days_customers,
    count(*) filter (microseconds_to_second <= 90 * 86400000000) as converted_90_days_customers,
    marts.ratio(sum(microseconds_to_second), 1000000) as seconds_to_second,
    marts.ratio(sum(microseconds_to_second), count(microseconds_to_second) * 86400000000) as mean_days_to_second,
    median(microseconds_to_second) / 86400000000 as median_days_to_second,
from customers
group by first_area, first_channel;
