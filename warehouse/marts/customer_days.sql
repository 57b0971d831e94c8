-- marts.customer_days: what each known customer did on each UTC day, shop and cinema together.
-- grain    customer_id, date
-- reads    gold.fct_customer_engagement
-- rebuild  whole: a view
-- materialize  view
-- The one place that says what a purchase day is and what money counts for it (R36).
-- column  customer_id: the customer
-- column  date: UTC day
-- column  sales: sale transactions
-- column  bookings: bookings
-- column  is_purchase_day: whether there was a sale or a booking
-- column  net_sales_amount: net sales of the shop, returns negative
-- column  cinema_amount: tickets and concessions, cancellations negative
-- column  money_amount: net sales + tickets + concessions
select
    customer_id,
    date,
    sales,
    bookings,
    sales + bookings > 0 as is_purchase_day,
    net_sales_amount,
    ticket_revenue_amount + concession_amount as cinema_amount,
    net_sales_amount + ticket_revenue_amount + concession_amount as money_amount,
from gold.fct_customer_engagement;
