-- marts.watermark_us: the least watermark of the business topics, microseconds since 1970 UTC; null if one has none.
-- call     marts.watermark_us()
-- grain    one value
-- reads    ops.topic_watermarks
-- rebuild  never
-- materialize  macro
create or replace macro marts.watermark_us() as (
    select case when bool_and(watermark is not null) then min(epoch_us(watermark)) end
    from ops.topic_watermarks
    where is_business
);
