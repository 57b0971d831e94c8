-- fail: a customer has one row, and a shorter window counts at most as much as a longer one
select customer_id, count(*)
from marts.churn_features(marts.last_ended_date())
group by customer_id
having count(*) > 1
    or bool_or(purchases_30_days > purchases_90_days or purchases_90_days > purchases_365_days)
    or bool_or(recency_days < 0 or recency_days > tenure_days);
