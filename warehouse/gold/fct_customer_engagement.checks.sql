-- fail: a row has activity of a known customer, and its amounts add up
select customer_id, date_key, customer_key, spent_amount
from changed.fct_customer_engagement
where orders + returns + bookings + cancellations + reviews = 0
    or customer_key < 0
    or spent_amount <> net_sales_amount + ticket_revenue_amount + concession_amount
    or is_purchase_day <> (orders + bookings > 0);
