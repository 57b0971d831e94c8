-- fail: every day from the first to the last has one row
select count(*), count(distinct date) from marts.daily_summary
having count(*) <> count(distinct date) or count(*) <> max(date) - min(date) + 1;

-- fail: the days grew by the new lines of silver, to the last digit
select summary.net_sales_amount, summary.units, events.net_sales_amount as of_silver, events.units as units_of_silver
from (
    select
        coalesce(sum(net_sales_amount), 0) as net_sales_amount,
        coalesce(sum(units), 0) as units,
    from (
        select net_sales_amount, units from changed.daily_summary
        union all
        select -net_sales_amount, -units from replaced.daily_summary
    )
) as summary
cross join (
    select
        coalesce(sum(
            case event_type when 'return' then -1 else 1 end
            * ((quantity::decimal(19, 0) * unit_price)::decimal(37, 4) - coalesce(discount_amount, 0))
        ), 0) as net_sales_amount,
        coalesce(sum(case event_type when 'return' then -1 else 1 end * quantity), 0) as units,
    from silver.pos_items
    join silver.pos_transactions using (_partition, _offset)
) as events
where summary.net_sales_amount <> events.net_sales_amount or summary.units <> events.units;

-- warn: customers do not return more units than they buy
select date, units from changed.daily_summary where units < 0;
