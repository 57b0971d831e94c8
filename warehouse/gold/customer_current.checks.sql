-- fail: one row a customer, each with a segment
select customer_id, count(*), any_value(segment)
from gold.customer_current
group by customer_id
having count(*) > 1 or any_value(segment) is null;
