-- marts.relative_change: growth relative to the size of what was before; its sign is that of the way it went.
-- call     marts.relative_change(measure, before)
-- grain    one value, null where it was 0 or is not known
-- reads    marts.ratio
-- rebuild  never
-- materialize  macro
create or replace macro marts.relative_change(measure, before) as
    marts.ratio(measure - before, abs(before));
