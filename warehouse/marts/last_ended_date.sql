-- marts.last_ended_date: the last UTC day that has ended by all business watermarks; null if there is none.
-- call     marts.last_ended_date()
-- grain    one value
-- reads    ops.gold_clock
-- rebuild  never
-- materialize  macro
create or replace macro marts.last_ended_date() as (
    select last_ended_date from ops.gold_clock
);
