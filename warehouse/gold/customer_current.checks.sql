-- fail: a customer has one row and a segment
select customer_id, count(*), any_value(segment)
from gold.customer_current
group by customer_id
having count(*) > 1 or any_value(segment) is null;
