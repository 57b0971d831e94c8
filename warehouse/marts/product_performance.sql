-- marts.product_performance: sales, margin, returns and reviews of each product.
-- grain    product_id
-- reads    gold.fct_inventory_movement, gold.fct_review, marts.product_current, marts.product_daily, marts.ratio
-- rebuild  never: a view
-- materialize  view
-- ABC class: products ordered by net sales, highest first, ties by product_id. A product is A while the products before
-- it have less than 80 % of all positive net sales, B below 95 %, then C. Without positive net sales it is C.
-- Sell-through = net units sold ÷ units received in deliveries. All measures are over all of history.
-- column  product_id: the product
-- column  name: current display name
-- column  category: kind of product now
-- column  title_id: current anime title; null if there is none
-- column  status: `active` or `discontinued`
-- column  units_sold: units of sale lines
-- column  units_returned: units of return lines, positive
-- column  net_units: sold less returned
-- column  net_sales_amount: net sales, returns negative
-- column  gross_margin_amount: net sales less cost, over the lines whose cost is known; null if the cost of no line is
--         known
-- column  margin_ratio: gross margin ÷ net sales of the same lines
-- column  lines_without_cost: lines that have no margin because their cost is unknown
-- column  return_rate: units returned ÷ units sold
-- column  units_received: units of deliveries
-- column  sell_through: net units ÷ units received
-- column  review_count: reviews of the product
-- column  review_score: mean rating, 1 to 5
-- column  sales_rank: 1 for the most net sales
-- column  abc_class: `A`, `B` or `C`
-- column  first_sold_date: first day with a sale or return
-- column  last_sold_date: last day with a sale or return
with
products as (
    select product_id, name, category, title_id, status from marts.product_current
),
sold as (
    select
        product_id,
        sum(units_sold) as units_sold,
        sum(units_returned) as units_returned,
        sum(net_units) as net_units,
        sum(net_sales_amount) as net_sales_amount,
        sum(gross_margin_amount) as gross_margin_amount,
        sum(costed_net_sales_amount) as costed_net_sales_amount,
        sum(lines_without_cost)::bigint as lines_without_cost,
        min(date) as first_sold_date,
        max(date) as last_sold_date,
    from marts.product_daily
    group by product_id
),
received as (
    select product_id, sum(quantity)::decimal(38, 0) as units_received
    from gold.fct_inventory_movement
    where event_type = 'delivery'
    group by product_id
),
reviewed as (
    select product_id, count(*) as review_count, sum(rating) as stars
    from gold.fct_review
    where product_id is not null
    group by product_id
),
joined as (
    select
        products.*,
        coalesce(sold.units_sold, 0) as units_sold,
        coalesce(sold.units_returned, 0) as units_returned,
        coalesce(sold.net_units, 0) as net_units,
        coalesce(sold.net_sales_amount, 0) as net_sales_amount,
        sold.gross_margin_amount,
        sold.costed_net_sales_amount,
        coalesce(sold.lines_without_cost, 0) as lines_without_cost,
        coalesce(received.units_received, 0) as units_received,
        coalesce(reviewed.review_count, 0) as review_count,
        reviewed.stars,
        sold.first_sold_date,
        sold.last_sold_date,
    from products
    left join sold using (product_id)
    left join received using (product_id)
    left join reviewed using (product_id)
),
ranked as (
    select
        *,
        row_number() over best_first as sales_rank,
        sum(greatest(net_sales_amount, 0)) over best_first - greatest(net_sales_amount, 0) as before_amount,
        sum(greatest(net_sales_amount, 0)) over () as all_amount,
    from joined
    window best_first as (order by net_sales_amount desc, product_id rows unbounded preceding)
),
-- Exact unless twenty times the sum exceeds decimal(38, 4). The factors have no common divisor, because DuckDB would
-- then multiply once, outside of both `try`.
shared as (
    select
        *,
        coalesce(try(before_amount * 5 < all_amount * 4), before_amount::double < 0.8 * all_amount::double)
            as is_within_80,
        coalesce(try(before_amount * 20 < all_amount * 19), before_amount::double < 0.95 * all_amount::double)
            as is_within_95,
    from ranked
)
select
    product_id,
    name,
    category,
    title_id,
    status,
    units_sold,
    units_returned,
    net_units,
    net_sales_amount,
    gross_margin_amount,
    marts.ratio(gross_margin_amount, costed_net_sales_amount) as margin_ratio,
    lines_without_cost,
    marts.ratio(units_returned, units_sold) as return_rate,
    units_received,
    marts.ratio(net_units, units_received) as sell_through,
    review_count,
    marts.ratio(stars, review_count) as review_score,
    sales_rank,
    case
        when net_sales_amount <= 0 then 'C'
        when is_within_80 then 'A'
        when is_within_95 then 'B'
        else 'C'
    end as abc_class,
    first_sold_date,
    last_sold_date,
from shared;
