-- fail: a customer has one row
select customer_id, count(*) from marts.customer_value group by customer_id having count(*) > 1;

-- fail: frequency, recency and t are consistent: repeat days are between the first purchase day and the last ended day
select customer_id, frequency, recency, t
from marts.customer_value
where not (0 <= frequency and frequency <= recency and recency <= t)
    or (frequency = 0) <> (recency = 0)
    or recency <> last_purchase_date - first_purchase_date
    or t <> as_of_date - first_purchase_date;

-- fail: every customer with an ended purchase day has a row
select customer_id
from changed.fct_customer_engagement
anti join marts.customer_value using (customer_id)
where is_purchase_day and date <= marts.last_ended_date();

-- fail: with fewer than 30 repeat customers all predictions are null
select customer_id, predicted_purchases
from marts.customer_value
where (select count(*) < 30 from marts.customer_value where frequency > 0)
    and (probability_alive is not null or predicted_purchases is not null or predicted_clv is not null);

-- warn: probabilities are between 0 and 1 and predictions are not negative
select customer_id, probability_alive, predicted_purchases, predicted_average_value, predicted_clv
from marts.customer_value
where probability_alive not between 0 and 1 or predicted_purchases < 0 or predicted_clv < 0;
