-- marts.relative_change: change relative to the absolute value before; its sign is the sign of the change.
-- call     marts.relative_change(measure, before)
-- grain    one value; null if the value before is 0 or null
-- reads    marts.ratio
-- rebuild  never
-- materialize  macro
create or replace macro marts.relative_change(measure, before) as
    marts.ratio(measure - before, abs(before));
