-- marts.held_until_us: screenings up to this instant have begun: the watermark of the cinema's topic, microseconds UTC.
-- call     marts.held_until_us()
-- grain    one value
-- reads    ops.topic_watermarks
-- rebuild  never
-- materialize  macro
create or replace macro marts.held_until_us() as (
    select max(epoch_us(watermark)) from ops.topic_watermarks where topic = 'cinema-sales'
);
