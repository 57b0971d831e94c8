-- fail: weeks and months both add up to all days
select period, totals.net_sales_amount, days.net_sales_amount, totals.admissions, days.admissions
from (
    select period, sum(net_sales_amount) as net_sales_amount, sum(admissions) as admissions, sum(days) as days
    from marts.period_summary
    group by period
) as totals
cross join (
    select sum(net_sales_amount) as net_sales_amount, sum(admissions) as admissions, count(*) as days
    from marts.daily_summary
) as days
where totals.net_sales_amount is distinct from days.net_sales_amount
    or totals.admissions is distinct from days.admissions
    or totals.days is distinct from days.days;

-- fail: a period is final if and only if all its days are, its last day included
select period, start_date, period_summary.is_final
from marts.period_summary
join (
    -- each day with the start of its periods, because a join by range would compare every period with every day
    select
        unnest(['week', 'month']) as period,
        unnest([date_trunc('week', date), date_trunc('month', date)])::date as start_date,
        date, is_final,
    from marts.daily_summary
) as days using (period, start_date)
group by period, start_date, end_date, period_summary.is_final
having period_summary.is_final and not bool_and(days.is_final)
    or not period_summary.is_final and bool_and(days.is_final) and max(days.date) = end_date;
