-- gold.dim_customer_segment: RFM scores and segment of a customer by day (SCD2). The scores of a day are valid from
-- 00:00 UTC of the next day. They are computed for days that have ended by the watermarks, over the 365 days up to
-- each.
-- grain        customer_id, valid_from
-- reads        affected.segment_days, work.rfm_base, gold.fct_customer_engagement, previous.dim_customer_segment
-- rebuild      from the first ended day with changed purchases; versions of changed customers are replaced; at most
--              once a minute while events arrive continuously
-- materialize  history
-- split        date_key
-- scope        affected.segment_days
-- previous     customer_segment_key bigint, customer_id varchar, segment varchar, recency_score integer,
--              frequency_score integer, monetary_score integer, valid_from timestamptz, valid_to timestamptz,
--              effective_to timestamptz, is_deleted boolean, version integer, date_key integer
-- key          customer_segment_key: customer_id
-- tracked      segment, recency_score, frequency_score, monetary_score
-- column       customer_segment_key: version key, a hash of customer_id and valid_from; -1 unknown, -2 not applicable
-- column       customer_id: the customer
-- column       date_key: day on which the next version replaced it; null for the last version
-- column       segment: segment derived from the three scores
-- column       recency_score: 1 to 5; 5 is the most recent purchase
-- column       frequency_score: 1 to 5; 5 is the most purchase days
-- column       monetary_score: 1 to 5; 5 is the most money spent
with
span as (
    select base_day, first_day, last_day from affected.segment_days
),
purchases as (
    select
        customer_id,
        date - date '1970-01-01' as day,
        is_purchase_day::integer as days,
        spent_amount as spent,
    from gold.fct_customer_engagement
    -- variables, because a join would read every closed day
    where date_key between getvariable('segments_gained_from') and getvariable('segments_gained_to')
        or date_key between getvariable('segments_lost_from') and getvariable('segments_lost_to')
),
-- What enters the 365-day window on a day and leaves it 365 days later, added to the base.
moves as (
    select customer_id, base_day as day, frequency as days, monetary as spent, bought_on
    from work.rfm_base
    cross join span
    union all
    select customer_id, day, days, spent, case when days > 0 then day end
    from purchases
    cross join span
    where day > base_day and day <= last_day
    union all
    select customer_id, day + 365, -days, -spent, null
    from purchases
    cross join span
    where day + 365 > base_day and day + 365 <= last_day
),
by_day as (
    select customer_id, day, sum(days)::integer as days, sum(spent) as spent, max(bought_on) as bought_on
    from moves
    group by customer_id, day
),
running as (
    select
        customer_id,
        day as from_day,
        lead(day, 1, last_day + 1) over in_time as to_day,
        sum(days) over in_time as frequency,
        sum(spent) over in_time as monetary,
        max(bought_on) over in_time as bought_on,
    from by_day
    cross join span
    window in_time as (partition by customer_id order by day)
),
previous_scores as (
    select customer_id, recency_score, frequency_score, monetary_score, first_day - 1 as day
    from previous.dim_customer_segment
    cross join span
    where customer_segment_key > 0
        and valid_from <= (date '1970-01-01' + first_day)::timestamp::timestamptz
        and (valid_to is null or valid_to > (date '1970-01-01' + first_day)::timestamp::timestamptz)
),
-- numbers sort faster than texts
customers as (
    select customer_id, (row_number() over (order by customer_id))::integer as customer_number
    from (select customer_id from running union select customer_id from previous_scores)
),
states as (
    select
        customer_number,
        unnest(range(greatest(from_day, first_day), to_day))::integer as day,
        frequency::integer as frequency,
        monetary,
        bought_on::integer as bought_on,
    from running
    join customers using (customer_id)
    cross join span
    where frequency > 0 and to_day > first_day
),
ranked as (
    select
        customer_number,
        day,
        count(*) over (partition by day) as customers,
        row_number() over (partition by day order by bought_on, customer_number) as recency_rank,
        row_number() over (partition by day order by frequency, customer_number) as frequency_rank,
        row_number() over (partition by day order by monetary, customer_number) as monetary_rank,
    from states
),
scored as (
    select
        customer_number,
        day,
        (5 * (recency_rank - 1) // customers + 1)::integer as recency_score,
        (5 * (frequency_rank - 1) // customers + 1)::integer as frequency_score,
        (5 * (monetary_rank - 1) // customers + 1)::integer as monetary_score,
    from ranked
    union all
    -- the state with which the first day is compared
    select customer_number, day::integer, recency_score, frequency_score, monetary_score
    from previous_scores
    join customers using (customer_id)
),
compared as (
    select
        *,
        lag(day) over in_time as day_before,
        lead(day) over in_time as day_after,
        lag(recency_score) over in_time is distinct from recency_score
            or lag(frequency_score) over in_time is distinct from frequency_score
            or lag(monetary_score) over in_time is distinct from monetary_score as is_different,
    from scored
    window in_time as (partition by customer_number order by day)
),
changes as (
    select customer_number, 'upsert' as event_type, day, recency_score, frequency_score, monetary_score
    from compared
    cross join span
    where day >= first_day and (day_before is distinct from day - 1 or is_different)
    union all
    select customer_number, 'delete', day + 1, null, null, null
    from compared
    cross join span
    where day_after is distinct from day + 1 and day < last_day
)
select
    customer_id,
    event_type,
    (date '1970-01-01' + day::integer + 1)::timestamp::timestamptz as event_time,
    0 as _partition,
    0::bigint as _offset,
    null::timestamptz as _recorded_at,
    case
        when event_type = 'delete' then null
        when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'champions'
        when recency_score >= 3 and frequency_score >= 3 and monetary_score >= 4 then 'big_spenders'
        when recency_score >= 3 and frequency_score >= 3 then 'loyal'
        when recency_score >= 4 and frequency_score = 1 then 'new'
        when recency_score >= 3 then 'promising'
        when frequency_score >= 4 or monetary_score = 5 then 'at_risk'
        when recency_score = 2 then 'needs_attention'
        else 'hibernating'
    end as segment,
    recency_score,
    frequency_score,
    monetary_score,
from changes
join customers using (customer_number)
