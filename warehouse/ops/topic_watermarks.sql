-- ops.topic_watermarks: watermark of each topic with records, a function of the per-partition state (R16).
-- grain        topic
-- reads        silver.partitions
-- rebuild      whole
-- materialize  state
-- column       topic: the topic
-- column       is_business: whether it is a business topic, which decides when days end
-- column       watermark: least high - out_of_orderness of the partitions that are not idle; null if there is none
-- column       final_before: watermark - allowed_lateness; days that ended by then are final
with
partitions as (
    select
        *,
        last_record_at >= max(last_record_at) over (partition by topic) - to_microseconds(idle_timeout) as is_awake,
        bool_or(last_record_at is not null) over (partition by topic) as has_times,
    from silver.partitions
    where last_record_at is not null or high is not null
)
select
    topic,
    bool_or(is_business) as is_business,
    min(high - to_microseconds(out_of_orderness)) filter (is_awake or not has_times) as watermark,
    min(high - to_microseconds(out_of_orderness)) filter (is_awake or not has_times)
        - to_microseconds(max(allowed_lateness)) as final_before,
from partitions
group by topic
