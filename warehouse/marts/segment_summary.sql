-- marts.segment_summary: one row per segment with customers.
-- grain    segment
-- reads    marts.customer_segments, marts.ratio
-- rebuild  never: a view
-- materialize  view
-- Means are over the customers of the segment with a purchase in the trailing 365 days. Shares add up to 1.
-- column  segment: the segment
-- column  customers: customers in it
-- column  customer_share: customers ÷ all customers
-- column  mean_recency_days: mean days since the last purchase day
-- column  mean_frequency: mean purchase days
-- column  mean_monetary: mean money per customer
-- column  monetary_amount: net sales, tickets and concessions of the trailing 365 days
-- column  monetary_share: money ÷ money of all segments
with
segments as (
    select
        segment,
        count(*) as customers,
        count(frequency) as buyers,
        sum(recency_days) as recency_days,
        sum(frequency) as frequency,
        coalesce(sum(monetary_amount), 0) as monetary_amount,
    from marts.customer_segments
    group by segment
)
select
    segment,
    customers,
    marts.ratio(customers, sum(customers) over ()) as customer_share,
    marts.ratio(recency_days, buyers) as mean_recency_days,
    marts.ratio(frequency, buyers) as mean_frequency,
    marts.ratio(monetary_amount, buyers) as mean_monetary,
    monetary_amount,
    marts.ratio(monetary_amount, sum(monetary_amount) over ()) as monetary_share,
from segments;
