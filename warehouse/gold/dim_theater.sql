-- gold.dim_theater: one row per theater (a hall of the cinema); seats are known from the seeds only.
-- grain        theater_id
-- reads        seeds.theaters, staging.fct_cinema_attendance
-- rebuild      members are only added; a changed seed file rebuilds gold
-- materialize  members
-- key          theater_key: theater_id
-- column       theater_key: hash of theater_id; -1 unknown, -2 not applicable
-- column       theater_id: the theater
-- column       name: display name
-- column       city: city of the location
-- column       seats: number of seats; null if unknown
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
