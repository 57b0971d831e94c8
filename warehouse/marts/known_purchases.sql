-- marts.known_purchases: purchases of known customers up to the cutoff: sales and bookings with their money.
-- call     marts.known_purchases(cutoff)
-- grain    event_id, area
-- reads    marts.known_bookings, marts.known_sales
-- rebuild  never: a macro
-- materialize  macro
-- Returns and cancellations are rows too, with negative money; is_purchase distinguishes them.
-- column  event_id: the event
-- column  customer_id: the customer
-- column  area: `shop` or `cinema`
-- column  channel: sales channel
-- column  date: UTC day
-- column  event_us: time of the event, microseconds since 1970 UTC
-- column  is_purchase: whether it is a sale or a booking
-- column  units: units or seats, signed
-- column  discount_amount: discount, signed; 0 in the cinema
-- column  money_amount: net sales, or tickets and concessions; signed
create or replace macro marts.known_purchases(cutoff) as table
select
    event_id,
    customer_id,
    'shop' as area,
    channel,
    date,
    event_us,
    event_type = 'sale' as is_purchase,
    sum(quantity) as units,
    sum(discount_amount) as discount_amount,
    sum(net_sales_amount) as money_amount,
from marts.known_sales(cutoff)
where customer_id is not null
group by all
union all
select
    event_id,
    customer_id,
    'cinema' as area,
    channel,
    date,
    event_us,
    event_type = 'booking' as is_purchase,
    admissions as units,
    0 as discount_amount,
    cinema_amount as money_amount,
from marts.known_bookings(cutoff)
where customer_id is not null;
