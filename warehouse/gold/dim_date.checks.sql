-- fail: one row a member, one member a key
select date, date_key
from gold.dim_date
qualify count(*) over (partition by date_key) > 1 or (date_key >= 0 and count(*) over (partition by date_key >= 0, date) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_date where date_key in (-1, -2) having count(*) <> 2;

-- fail: no day is missing between the first and the last
select count(*) from gold.dim_date where date_key > 0 having count(*) <> max(date) - min(date) + 1;
