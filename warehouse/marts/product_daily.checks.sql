-- fail: net units are units sold less units returned
select product_id, date, units_sold, units_returned, net_units
from changed.product_daily
where net_units is distinct from units_sold - units_returned or units_sold < 0 or units_returned < 0;

-- fail: the products of a day add up to the day's net sales and units
select date, products.net_sales_amount, daily_summary.net_sales_amount, products.net_units, daily_summary.units
from (
    select date, sum(net_sales_amount) as net_sales_amount, sum(net_units) as net_units
    from marts.product_daily
    semi join (select distinct date from changed.product_daily) using (date)
    group by date
) as products
left join marts.daily_summary using (date)
where products.net_sales_amount is distinct from daily_summary.net_sales_amount
    or products.net_units is distinct from daily_summary.units;
