-- marts.screenings: one row per screening with a booking or cancellation, with its seats and admissions.
-- grain    screening_id
-- reads    gold.dim_theater, gold.fct_cinema_attendance, marts.held_until_us, marts.utc_day
-- rebuild  never: a view
-- materialize  view
-- Title, theater and time are those of its latest booking. A screening is held if it has a booking and the watermark of
-- cinema-sales is past its time. Without a booking it has the attributes of its latest cancellation and is not held.
-- Occupancy = admissions ÷ seats of the screenings held whose theater has known seats (R38): a ratio of the sums of
-- seated_admissions and held_seats, not a mean of ratios.
-- column  screening_id: the screening
-- column  title_id: the title
-- column  theater_id: the theater
-- column  screening_at: start
-- column  date: UTC day of the start
-- column  is_held: whether it has a booking and began by the watermark
-- column  admissions: seats of bookings less cancellations
-- column  ticket_revenue_amount: ticket revenue
-- column  concession_amount: concession sales, such as popcorn
-- column  held_seats: seats of the theater if the screening was held and they are known, else 0
-- column  seated_admissions: admissions if the screening was held and the seats are known, else 0
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
seated as (
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
from seated;
