-- fail: no day is missing between the first and the last day
select count(*) from gold.dim_date where date_key > 0 having count(*) <> max(date) - min(date) + 1;
