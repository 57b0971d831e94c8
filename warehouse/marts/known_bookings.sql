-- marts.known_bookings: bookings and cancellations that had happened and had arrived in the log by the cutoff.
-- call     marts.known_bookings(cutoff)
-- grain    event_id
-- reads    gold.fct_cinema_attendance, marts.utc_day, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- column  event_id: the booking or cancellation
-- column  event_type: `booking` or `cancellation`
-- column  customer_id: the customer; null for a guest
-- column  title_id: the title
-- column  channel: `box_office`, `online` or `mobile`
-- column  date: UTC day of the booking
-- column  event_us: time of the event, microseconds since 1970 UTC
-- column  admissions: seats, negative in a cancellation
-- column  cinema_amount: tickets and concessions, negative in a cancellation
create or replace macro marts.known_bookings(cutoff) as table
select
    event_id,
    event_type,
    customer_id,
    title_id,
    channel,
    marts.utc_day(event_time) as date,
    epoch_us(event_time) as event_us,
    admissions,
    ticket_revenue_amount + concession_amount as cinema_amount,
from gold.fct_cinema_attendance
where epoch_us(event_time) <= marts.utc_us(cutoff) and epoch_us(_recorded_at) <= marts.utc_us(cutoff);
