-- fail: a month has one row, from its first to its last day
select month_start_date, count(*)
from marts.monthly_summary
group by month_start_date
having count(*) > 1
    or day(month_start_date) <> 1
    or max(month_end_date) <> last_day(month_start_date)
    or max(days) not between 1 and day(last_day(month_start_date));
