-- affected.customer_days: the days of customers whose facts, or whose version at the day's end, this refresh changed.
-- grain        customer_id, date_key
-- reads        changed.fct_sales, changed.fct_cinema_attendance, changed.fct_review, moved.dim_customer,
--              previous.fct_customer_engagement
-- rebuild      never: it lives for one refresh
-- materialize  scope
select customer_id, date_key from changed.fct_sales where customer_id is not null
union
select customer_id, date_key from changed.fct_cinema_attendance where customer_id is not null
union
select customer_id, date_key from changed.fct_review
union
select engagement.customer_id, engagement.date_key
from previous.fct_customer_engagement as engagement
join moved.dim_customer as moved
    on engagement.customer_id = moved.customer_id
    and day_end(engagement.date_key) >= moved.moved_from
    and day_end(engagement.date_key) < moved.moved_to
-- a variable, so that older days are skipped
where engagement.date_key >= getvariable('moved_from_key')
