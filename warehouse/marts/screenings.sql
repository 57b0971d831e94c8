-- marts.screenings: one row for each screening ever booked or cancelled, with its seats and admissions.
-- grain    screening_id
-- reads    gold.dim_theater, gold.fct_cinema_attendance, marts.held_until_us, marts.utc_day
-- rebuild  whole: a view
-- materialize  view
-- A screening is what its latest booking says (title, theater, time). It is held once the watermark of cinema-sales has
-- passed its time. One of which nothing but cancellations arrived is what they say, and never held. Occupancy =
-- admissions ÷ seats of screenings held whose theater's seats are known (R38): always a ratio of sums over
-- seated_admissions and held_seats, never a mean of ratios.
-- column  screening_id: the screening
-- column  title_id: the film
-- column  theater_id: the hall
-- column  screening_at: when it begins
-- column  date: UTC day it begins
-- column  is_held: whether it was booked and had begun at the watermark
-- column  admissions: seats of bookings less cancellations
-- column  ticket_revenue_amount: money for tickets
-- column  concession_amount: money for popcorn and the like
-- column  held_seats: seats of the hall when the screening was held and they are known, else 0
-- column  seated_admissions: admissions when the screening was held and the seats are known, else 0
with
bookings as (
    select
        screening_id,
        max_by(title_id, (event_type = 'booking', event_time, event_id)) as title_id,
        max_by(theater_id, (event_type = 'booking', event_time, event_id)) as theater_id,
        max_by(screening_time, (event_type = 'booking', event_time, event_id)) as screening_at,
        bool_or(event_type = 'booking') as is_booked,
        sum(admissions)::decimal(38, 0) as admissions,
        sum(ticket_revenue_amount) as ticket_revenue_amount,
        sum(concession_amount) as concession_amount,
    from gold.fct_cinema_attendance
    group by screening_id
),
theaters as (
    select theater_id, seats from gold.dim_theater where theater_key > 0
),
placed as (
    select
        bookings.*,
        is_booked and coalesce(epoch_us(screening_at) <= marts.held_until_us(), false) as is_held,
        theaters.seats,
    from bookings
    left join theaters using (theater_id)
)
select
    screening_id,
    title_id,
    theater_id,
    screening_at,
    marts.utc_day(screening_at) as date,
    is_held,
    admissions,
    ticket_revenue_amount,
    concession_amount,
    case when is_held then coalesce(seats, 0) else 0 end as held_seats,
    case when is_held and seats is not null then admissions else 0 end as seated_admissions,
from placed;
