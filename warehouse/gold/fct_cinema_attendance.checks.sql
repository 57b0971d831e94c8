-- fail: the grain holds
select event_id, event_time, count(*)
from changed.fct_cinema_attendance
group by event_id, event_time
having count(*) > 1;

-- warn: an event_id came again once the horizon had passed it
select event_id, count(*) from changed.fct_cinema_attendance group by event_id having count(*) > 1;

-- fail: no key is null
select *
from changed.fct_cinema_attendance
where date_key is null or time_of_day_key is null or screening_date_key is null or customer_key is null or title_key is null or theater_key is null or ticket_type_key is null or channel_key is null or payment_method_key is null;

-- fail: customer_key is the version of customer_id that was valid at event_time
select fact.event_id, fact.customer_id, fact.event_time, fact.customer_key
from changed.fct_cinema_attendance as fact
left join gold.dim_customer as dim on fact.customer_key = dim.customer_key
where dim.customer_key is null
    or (fact.customer_id is null) <> (fact.customer_key < 0)
    or (
        fact.customer_key > 0
        and (
            fact.customer_id <> dim.customer_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: title_key is the version of title_id that was valid at event_time
select fact.event_id, fact.title_id, fact.event_time, fact.title_key
from changed.fct_cinema_attendance as fact
left join gold.dim_anime_title as dim on fact.title_key = dim.title_key
where dim.title_key is null
    or (fact.title_id is null) <> (fact.title_key < 0)
    or (
        fact.title_key > 0
        and (
            fact.title_id <> dim.title_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: amounts follow from seats and price, to the last digit
select event_id, admissions, ticket_revenue_amount
from changed.fct_cinema_attendance
where abs(admissions) <> seats_booked
    or (event_type = 'cancellation') <> (admissions < 0)
    or ticket_revenue_amount <> (admissions::decimal(19, 0) * ticket_price)::decimal(38, 4);
