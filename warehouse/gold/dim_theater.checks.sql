-- fail: one row a member, one member a key
select theater_id, theater_key
from gold.dim_theater
qualify count(*) over (partition by theater_key) > 1 or (theater_key >= 0 and count(*) over (partition by theater_key >= 0, theater_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_theater where theater_key in (-1, -2) having count(*) <> 2;

-- warn: seats are unknown, so its screenings are left out of occupancy
select theater_id from gold.dim_theater where theater_key > 0 and seats is null;
