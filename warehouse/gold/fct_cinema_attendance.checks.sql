-- fail: amounts follow from seats and price, to the last digit
select event_id, admissions, ticket_revenue_amount
from changed.fct_cinema_attendance
where abs(admissions) <> seats_booked
    or (event_type = 'cancellation') <> (admissions < 0)
    or ticket_revenue_amount <> (admissions::decimal(19, 0) * ticket_price)::decimal(38, 4);
