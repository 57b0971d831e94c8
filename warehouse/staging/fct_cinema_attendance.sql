-- staging.fct_cinema_attendance: new bookings and cancellations, with the ids of their members.
-- grain        event_id
-- reads        silver.cinema_sales
-- rebuild      never: a temporary table of one refresh
-- materialize  staging
select
    event_id,
    booking_id,
    event_type,
    event_time,
    screening_id,
    screening_time,
    customer_id,
    title_id,
    theater_id,
    ticket_type,
    channel,
    payment_method,
    seats_booked,
    ticket_price,
    -- R12: a cancellation negates its own seats and amounts
    case when event_type = 'cancellation' then -seats_booked else seats_booked end as admissions,
    case
        when event_type = 'cancellation' then -coalesce(concession_amount, 0)
        else coalesce(concession_amount, 0)
    end::decimal(38, 4) as concession_amount,
    _arrival,
    _recorded_at,
from silver.cinema_sales
