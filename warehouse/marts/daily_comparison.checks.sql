-- fail: every day has one row, and all but the first have the values of the day before
select days.days, compared.days, compared.without_previous
from (select count(*) as days from marts.daily_summary) as days
cross join (
    select count(*) as days, count(*) filter (previous_net_sales_amount is null) as without_previous
    from marts.daily_comparison
) as compared
where days.days <> compared.days or compared.without_previous <> least(days.days, 1);
