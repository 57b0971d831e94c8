-- gold.dim_theater: one row a hall of the cinema; seats come from the seeds, else they are unknown.
-- grain        theater_id
-- reads        seeds.theaters, staging.fct_cinema_attendance
-- rebuild      members are only added; an edited seed is read again
-- materialize  members
-- key          theater_key: theater_id
-- column       theater_key: hash of theater_id; -1 unknown, -2 not applicable
-- column       theater_id: the hall
-- column       name: what it is called
-- column       city: where it is
-- column       seats: how many there are; null unknown
with
seen as (
    select distinct theater_id from staging.fct_cinema_attendance
)
select
    theater_id,
    theaters.name,
    theaters.city,
    theaters.seats::bigint as seats,
from seeds.theaters
full join seen using (theater_id)
