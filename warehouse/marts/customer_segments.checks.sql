-- fail: a customer has one row and one segment
select customer_id, count(*)
from marts.customer_segments
group by customer_id
having count(*) > 1 or bool_or(segment is null);

-- fail: customers have scores exactly when they bought in the window
select customer_id, segment, recency_score, frequency
from marts.customer_segments
where (recency_score is null) <> coalesce(frequency = 0, true)
    or (recency_score is null) <> (segment in ('lapsed', 'prospect'))
    or recency_days not between 0 and 364;
