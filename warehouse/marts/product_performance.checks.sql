-- fail: a product has one row and one class
select product_id, count(*)
from marts.product_performance
group by product_id
having count(*) > 1 or bool_or(abc_class is null);

-- fail: classes go from A to C with decreasing net sales
select product_id, sales_rank, abc_class
from marts.product_performance
qualify abc_class < lag(abc_class) over (order by sales_rank)
    or net_sales_amount > lag(net_sales_amount) over (order by sales_rank);

-- fail: products add up to the shop's net sales
select products.net_sales_amount, days.net_sales_amount
from (select coalesce(sum(net_sales_amount), 0) as net_sales_amount from marts.product_performance) as products
cross join (select coalesce(sum(net_sales_amount), 0) as net_sales_amount from marts.daily_summary) as days
where products.net_sales_amount <> days.net_sales_amount;

-- warn: units returned are at most units sold, and net units sold at most units received
select product_id, units_sold, units_returned, units_received
from marts.product_performance
where return_rate > 1 or sell_through > 1;
