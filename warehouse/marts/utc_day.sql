-- marts.utc_day: the UTC day of a timestamptz, whatever the session's time zone.
-- call     marts.utc_day(moment)
-- grain    one value
-- rebuild  never
-- materialize  macro
create or replace macro marts.utc_day(moment) as
    make_timestamp(epoch_us(moment))::date;
