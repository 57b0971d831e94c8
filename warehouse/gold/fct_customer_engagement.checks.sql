-- fail: the grain holds
select customer_id, date_key, count(*)
from changed.fct_customer_engagement
group by customer_id, date_key
having count(*) > 1;

-- fail: no key is null, and nobody is a guest
select customer_id, date_key, customer_key
from changed.fct_customer_engagement
where customer_id is null or date_key is null or customer_key is null or customer_key < 0;

-- fail: a row has activity, and money adds up
select customer_id, date_key, spent_amount
from changed.fct_customer_engagement
where orders + returns + bookings + cancellations + reviews = 0
    or spent_amount <> net_sales_amount + ticket_revenue_amount + concession_amount
    or is_purchase_day <> (orders + bookings > 0);
