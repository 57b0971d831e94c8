-- affected.customer_days: customer days of which this refresh changed the facts or the version at the end of the day.
-- grain        customer_id, date_key
-- reads        changed.fct_sales, changed.fct_cinema_attendance, changed.fct_review, moved.dim_customer,
--              previous.fct_customer_engagement
-- rebuild      never: a temporary table of one refresh
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
-- a variable, which lets DuckDB skip older days
where engagement.date_key >= getvariable('moved_from_key')
