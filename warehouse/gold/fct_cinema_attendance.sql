-- gold.fct_cinema_attendance: one row per booking or cancellation; a cancellation has negative measures.
-- grain        event_id
-- reads        staging.fct_cinema_attendance, gold.dim_customer, gold.dim_anime_title, gold.dim_theater,
--              gold.dim_channel, gold.dim_payment_method, gold.dim_ticket_type
-- rebuild      rows are appended; rows of a member whose versions moved are removed and get new keys
-- materialize  fact
-- topic        cinema-sales
-- total        admissions: admissions = case when event_type = 'cancellation' then -1 else 1 end * seats_booked
-- split        date_key
-- member       customer_key: dim_customer by customer_id at event_time
-- member       title_key: dim_anime_title by title_id at event_time
-- column       event_id: the event
-- column       booking_id: the booking (degenerate dimension)
-- column       event_type: booking or cancellation
-- column       event_time: time of the booking or cancellation
-- column       date_key: UTC day of the event
-- column       time_of_day_key: UTC minute of the event
-- column       screening_id: the screening (degenerate dimension)
-- column       screening_time: start of the screening
-- column       screening_date_key: UTC day of the screening
-- column       customer_key: version of the customer at event_time; -1 for a guest
-- column       title_key: version of the title at event_time
-- column       theater_key: the theater
-- column       ticket_type_key: ticket type
-- column       channel_key: sales channel
-- column       payment_method_key: payment method
-- column       seats_booked: seats of the event, never negative
-- column       ticket_price: price of one seat, never negative
-- column       admissions: seats, negative in a cancellation
-- column       ticket_revenue_amount: admissions times ticket_price
-- column       concession_amount: concession sales, such as popcorn, negative in a cancellation
-- column       customer_id: the customer; null for a guest
-- column       title_id: the title
-- column       theater_id: the theater
-- column       ticket_type: ticket type
-- column       channel: sales channel
-- column       payment_method: payment method
with
customers as (
    select customer_key, customer_id, valid_from, effective_to from gold.dim_customer where customer_key > 0
),
titles as (
    select title_key, title_id, valid_from, effective_to from gold.dim_anime_title where title_key > 0
),
keyed as (
    select
        staged.*,
        customers.customer_key,
        titles.title_key,
        dim_theater.theater_key,
        dim_ticket_type.ticket_type_key,
        dim_channel.channel_key,
        dim_payment_method.payment_method_key,
    from staging.fct_cinema_attendance as staged
    left join customers
        on staged.customer_id = customers.customer_id
        and staged.event_time >= customers.valid_from
        and (customers.effective_to is null or staged.event_time < customers.effective_to)
    left join titles
        on staged.title_id = titles.title_id
        and staged.event_time >= titles.valid_from
        and (titles.effective_to is null or staged.event_time < titles.effective_to)
    left join gold.dim_theater on staged.theater_id = dim_theater.theater_id and dim_theater.theater_key > 0
    left join gold.dim_ticket_type
        on staged.ticket_type = dim_ticket_type.ticket_type_id and dim_ticket_type.ticket_type_key > 0
    left join gold.dim_channel on staged.channel = dim_channel.channel_id and dim_channel.channel_key > 0
    left join gold.dim_payment_method
        on staged.payment_method = dim_payment_method.payment_method_id and dim_payment_method.payment_method_key > 0
)
select
    event_id,
    booking_id,
    event_type,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    to_time_key(event_time) as time_of_day_key,
    screening_id,
    screening_time,
    to_date_key(utc_day(screening_time)) as screening_date_key,
    case when customer_id is null then -1 else customer_key end as customer_key,
    title_key,
    theater_key,
    ticket_type_key,
    channel_key,
    payment_method_key,
    seats_booked,
    ticket_price,
    admissions,
    -- decimal(19) holds every int64, so the product is exact at the edges of R5
    (admissions::decimal(19, 0) * ticket_price)::decimal(38, 4) as ticket_revenue_amount,
    concession_amount,
    customer_id,
    title_id,
    theater_id,
    ticket_type,
    channel,
    payment_method,
    _arrival,
    _recorded_at,
from keyed
