-- fail: a screening has one row, and admissions add up to those of the facts
select screenings.admissions, facts.admissions, screenings.screenings
from (
    select coalesce(sum(admissions), 0) as admissions, count(*) as screenings, count(distinct screening_id) as ids
    from marts.screenings
) as screenings
cross join (select coalesce(sum(admissions), 0) as admissions from gold.fct_cinema_attendance) as facts
where screenings.admissions <> facts.admissions or screenings.screenings <> screenings.ids;

-- warn: no screening sells more seats than it has, so occupancy is at most 1
select screening_id, seated_admissions, held_seats from marts.screenings where seated_admissions > held_seats;

-- warn: no screening has more cancelled than booked seats
select screening_id, admissions from marts.screenings where admissions < 0;
