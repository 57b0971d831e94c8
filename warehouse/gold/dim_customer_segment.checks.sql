-- fail: versions do not overlap, only a delete leaves a gap, numbers are consecutive, and the current version is open
select customer_id, version, valid_from, valid_to, next_from, is_current
from (
    select
        *,
        lead(valid_from) over in_time as next_from,
        lag(version) over in_time as version_before,
    from changed.dim_customer_segment
    where customer_segment_key > 0
    window in_time as (partition by customer_id order by valid_from)
)
where valid_to <= valid_from
    or effective_to is distinct from next_from
    or valid_to > next_from
    or (valid_to is distinct from next_from and not is_deleted)
    or is_current <> (valid_to is null)
    or version <> version_before + 1
    or version < 1;

-- fail: scores are 1 to 5, and each of the 125 combinations has a segment
select customer_id, valid_from, segment, recency_score, frequency_score, monetary_score
from changed.dim_customer_segment
where customer_segment_key > 0 and (
    segment is null
    or recency_score not between 1 and 5
    or frequency_score not between 1 and 5
    or monetary_score not between 1 and 5
);
