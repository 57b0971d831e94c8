-- fail: one row a member, one member a key
select time_of_day, time_of_day_key
from gold.dim_time_of_day
qualify count(*) over (partition by time_of_day_key) > 1 or (time_of_day_key >= 0 and count(*) over (partition by time_of_day_key >= 0, time_of_day) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_time_of_day where time_of_day_key in (-1, -2) having count(*) <> 2;
