-- marts.customer_value: value of each customer to date, and predicted for the next 12 months by BG/NBD and gamma-gamma.
-- grain    customer_id, for customers with a purchase day that has ended
-- reads    totals.customers (gold.fct_customer_engagement, gold.fct_sales), work.clv_predictions, marts.last_ended_date
-- rebuild  whole, from totals by customer (warehouse/refresh/customer_totals.py) and the fit
--          (warehouse/refresh/clv.py)
-- materialize  table
-- refresh  ended_day
-- Observed to the last ended day, in days (R39). Historical CLV = gross margin of the customer's shop lines, returns
-- negative, up to that day; tickets and concessions have no known cost, so they are in lifetime_revenue_amount only.
-- Predicted CLV = predicted purchase days of the next 365 days × predicted money of such a day, not discounted. With
-- fewer than 30 repeat customers there are no predictions; with fewer than 30 repeat customers with money, there are
-- none of money.
-- column  customer_id: the customer
-- column  as_of_date: last ended day
-- column  first_purchase_date: first day with a sale or booking
-- column  last_purchase_date: last day with a sale or booking
-- column  frequency: repeat purchase days: days with a sale or booking after the first
-- column  recency: days from the first purchase day to the last
-- column  t: days from the first purchase day to as_of_date
-- column  monetary_value: mean money (net sales, tickets, concessions) of the repeat purchase days, 0 without any
-- column  lifetime_revenue_amount: net sales, tickets and concessions of all days
-- column  historical_clv: net margin to date: gross margin of shop lines whose cost is known; null if the cost of no
--         line is known
-- column  lines_without_cost: shop lines left out of historical_clv
-- column  probability_alive: probability that the customer will buy again
-- column  predicted_purchases: expected purchase days in the next 365 days
-- column  predicted_average_value: expected money of a purchase day
-- column  predicted_clv: predicted_purchases × predicted_average_value
select
    customer_id,
    marts.last_ended_date() as as_of_date,
    first_date as first_purchase_date,
    last_date as last_purchase_date,
    frequency,
    recency,
    t,
    monetary_value,
    revenue_amount as lifetime_revenue_amount,
    -- without lines the margin is 0; with lines of unknown cost only it is unknown
    case when lines = 0 then 0 else gross_margin_amount end as historical_clv,
    lines_without_cost,
    probability_alive,
    predicted_purchases,
    predicted_average_value,
    predicted_purchases * predicted_average_value as predicted_clv,
from totals.customers
left join work.clv_predictions using (customer_id);
