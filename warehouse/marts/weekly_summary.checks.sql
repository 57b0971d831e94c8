-- fail: an ISO week has one row, from Monday to Sunday
select week_start_date, count(*)
from marts.weekly_summary
group by week_start_date
having count(*) > 1
    or isodow(week_start_date) <> 1
    or max(week_end_date) <> (week_start_date + interval 6 day)::date
    or max(days) not between 1 and 7;
