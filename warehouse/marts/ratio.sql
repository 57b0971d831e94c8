-- marts.ratio: part ÷ whole as a double; null where whole is 0: no share of nothing.
-- call     marts.ratio(part, whole)
-- grain    one value
-- rebuild  never
-- materialize  macro
create or replace macro marts.ratio(part, whole) as
    part::double / nullif(whole, 0)::double;
