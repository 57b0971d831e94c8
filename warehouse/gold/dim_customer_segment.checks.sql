-- fail: a version is told by its member and its beginning
select customer_id, valid_from, count(*)
from changed.dim_customer_segment
where customer_segment_key > 0
group by customer_id, valid_from
having count(*) > 1;

-- fail: no key stands for two versions
select customer_segment_key, count(*)
from changed.dim_customer_segment
group by customer_segment_key
having count(*) > 1;

-- fail: versions follow each other and count on, without overlap, and without gap but after a delete; current has no end
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

-- fail: a member has one current version, or none after a delete
select customer_id
from changed.dim_customer_segment
where customer_segment_key > 0
group by customer_id
having count(*) filter (is_current) <> case when arg_max(is_deleted, version) then 0 else 1 end;

-- fail: scores are 1 to 5, and each cell of the 125 has a segment
select customer_id, valid_from, segment, recency_score, frequency_score, monetary_score
from changed.dim_customer_segment
where customer_segment_key > 0 and (
    segment is null
    or recency_score not between 1 and 5
    or frequency_score not between 1 and 5
    or monetary_score not between 1 and 5
);
