-- gold.fct_customer_engagement: activity of a known customer on a UTC day in shop, cinema and reviews.
-- grain        customer_id, date_key
-- reads        affected.customer_days, gold.fct_sales, gold.fct_cinema_attendance, gold.fct_review, gold.dim_customer
-- rebuild      by customer and day: affected rows are recomputed, or new facts are added to them
-- materialize  days
-- split        date_key
-- scope        affected.customer_days(customer_id, date_key)
-- previous     date_key integer, customer_id varchar
-- adds         orders, returns, units, net_sales_amount, bookings, cancellations, admissions, ticket_revenue_amount,
--              concession_amount, reviews, spent_amount
-- then         is_purchase_day: orders > 0 or bookings > 0
-- distinct     fct_sales.transaction_id
-- column       date_key: UTC day
-- column       date: UTC day
-- column       customer_key: version of the customer at the end of the day
-- column       customer_id: the customer; guests are not included
-- column       orders: number of distinct sale transactions
-- column       returns: number of return events
-- column       units: units sold less units returned
-- column       net_sales_amount: net sales of the shop, returns negative
-- column       bookings: number of booking events
-- column       cancellations: number of cancellation events
-- column       admissions: seats of bookings less seats of cancellations
-- column       ticket_revenue_amount: ticket revenue, cancellations negative
-- column       concession_amount: concession sales, such as popcorn, cancellations negative
-- column       reviews: number of reviews
-- column       is_purchase_day: whether there was a sale or a booking
-- column       spent_amount: sum of net sales, ticket revenue and concessions
with
sales as (
    select
        customer_id,
        date_key,
        -- a customer has few transactions a day: a list is five times as fast as count(distinct)
        len(list_distinct(list(transaction_id) filter (event_type = 'sale'))) as orders,
        len(list_distinct(list(event_id) filter (event_type = 'return'))) as returns,
        sum(quantity) as units,
        sum(net_sales_amount) as net_sales_amount,
    from gold.fct_sales
    semi join affected.customer_days using (customer_id, date_key)
    group by customer_id, date_key
),
cinema as (
    select
        customer_id,
        date_key,
        count(*) filter (event_type = 'booking') as bookings,
        count(*) filter (event_type = 'cancellation') as cancellations,
        sum(admissions) as admissions,
        sum(ticket_revenue_amount) as ticket_revenue_amount,
        sum(concession_amount) as concession_amount,
    from gold.fct_cinema_attendance
    semi join affected.customer_days using (customer_id, date_key)
    group by customer_id, date_key
),
reviews as (
    select customer_id, date_key, count(*) as reviews,
    from gold.fct_review
    semi join affected.customer_days using (customer_id, date_key)
    group by customer_id, date_key
),
customers as (
    select customer_key, customer_id, valid_from, effective_to from gold.dim_customer where customer_key > 0
)
select
    date_key,
    from_date_key(date_key) as date,
    customers.customer_key,
    customer_id,
    coalesce(orders, 0) as orders,
    coalesce(returns, 0) as returns,
    coalesce(units, 0)::decimal(38, 0) as units,
    coalesce(net_sales_amount, 0)::decimal(38, 4) as net_sales_amount,
    coalesce(bookings, 0) as bookings,
    coalesce(cancellations, 0) as cancellations,
    coalesce(admissions, 0)::decimal(38, 0) as admissions,
    coalesce(ticket_revenue_amount, 0)::decimal(38, 4) as ticket_revenue_amount,
    coalesce(concession_amount, 0)::decimal(38, 4) as concession_amount,
    coalesce(reviews, 0) as reviews,
    coalesce(orders, 0) > 0 or coalesce(bookings, 0) > 0 as is_purchase_day,
    (
        coalesce(net_sales_amount, 0) + coalesce(ticket_revenue_amount, 0) + coalesce(concession_amount, 0)
    )::decimal(38, 4) as spent_amount,
from affected.customer_days
left join sales using (customer_id, date_key)
left join cinema using (customer_id, date_key)
left join reviews using (customer_id, date_key)
left join customers
    on customer_days.customer_id = customers.customer_id
    and day_end(date_key) >= customers.valid_from
    and (customers.effective_to is null or day_end(date_key) < customers.effective_to)
