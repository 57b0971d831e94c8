-- fail: a customer and an item have one row, without interactions after the cutoff
select customer_id, item_type, item_id, count(*)
from marts.recommendation_interactions(marts.last_ended_date())
group by customer_id, item_type, item_id
having count(*) > 1 or min(days_since_last) < 0;
