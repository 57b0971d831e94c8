-- marts.held_until_us: the time up to which screenings have begun: the watermark of cinema-sales, microseconds since
-- 1970 UTC.
-- call     marts.held_until_us()
-- grain    one value
-- reads    ops.topic_watermarks
-- rebuild  never
-- materialize  macro
create or replace macro marts.held_until_us() as (
    select max(epoch_us(watermark)) from ops.topic_watermarks where topic = 'cinema-sales'
);
