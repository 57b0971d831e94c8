-- marts.product_daily: shop sales by product and UTC day, for days with a sale or return of the product.
-- grain    product_id, date
-- reads    affected.product_days, gold.fct_sales
-- rebuild  by product and day: affected rows are recomputed, or new facts are added to them
-- materialize  days
-- split    date_key
-- scope    affected.product_days(product_id, date_key)
-- adds     units_sold, units_returned, net_units, net_sales_amount, gross_margin_amount, costed_net_sales_amount,
--          lines_without_cost
-- column  product_id: the product
-- column  date: UTC day of the sale or return
-- column  date_key: the day as a number
-- column  units_sold: units of sale lines
-- column  units_returned: units of return lines, positive
-- column  net_units: sold less returned
-- column  net_sales_amount: quantity × unit_price − discount, returns negative
-- column  gross_margin_amount: net sales less cost, over the lines whose cost is known; null if the cost of no line is
--         known
-- column  costed_net_sales_amount: net sales of the lines whose cost is known, the base of the margin ratio
-- column  lines_without_cost: lines whose product version has no cost
select
    product_id,
    from_date_key(date_key) as date,
    date_key,
    sum(case when quantity > 0 then quantity else 0 end)::decimal(38, 0) as units_sold,
    sum(case when quantity < 0 then -quantity else 0 end)::decimal(38, 0) as units_returned,
    sum(quantity)::decimal(38, 0) as net_units,
    sum(net_sales_amount) as net_sales_amount,
    sum(gross_margin_amount) as gross_margin_amount,
    coalesce(sum(net_sales_amount) filter (cost_amount is not null), 0) as costed_net_sales_amount,
    count(*) filter (cost_amount is null) as lines_without_cost,
from gold.fct_sales
semi join affected.product_days using (product_id, date_key)
group by product_id, date_key;
