-- marts.ratio: part ÷ whole as a double; null if whole is 0.
-- call     marts.ratio(part, whole)
-- grain    one value
-- rebuild  never
-- materialize  macro
create or replace macro marts.ratio(part, whole) as
    part::double / nullif(whole, 0)::double;
