-- fail: every day from the first to the last is there once
select count(*), count(distinct date) from marts.daily_summary
having count(*) <> count(distinct date) or count(*) <> max(date) - min(date) + 1;

-- fail: the days' sums are those of the facts, to the last digit
select
    summary.date,
    summary.net_sales_amount,
    facts.net_sales_amount as net_sales_amount_of_facts,
    summary.gross_margin_amount,
    facts.gross_margin_amount as gross_margin_amount_of_facts,
from changed.daily_summary as summary
join (
    select
        date_key,
        sum(net_sales_amount) as net_sales_amount,
        sum(gross_margin_amount) as gross_margin_amount,
        sum(quantity) as units,
    from gold.fct_sales
    semi join (
        select year(date) * 10000 + month(date) * 100 + day(date) as date_key from changed.daily_summary
    ) using (date_key)
    group by date_key
) as facts
    on year(summary.date) * 10000 + month(summary.date) * 100 + day(summary.date) = facts.date_key
where summary.net_sales_amount <> facts.net_sales_amount
    or summary.gross_margin_amount is distinct from facts.gross_margin_amount
    or summary.units <> facts.units;

-- warn: customers gave back more than they bought
select date, units from changed.daily_summary where units < 0;
