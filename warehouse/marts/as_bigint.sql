-- marts.as_bigint: a sum of integers as bigint, for data frames; clipped to the range of bigint.
-- call     marts.as_bigint(number)
-- grain    one value; null stays null
-- rebuild  never
-- materialize  macro
create or replace macro marts.as_bigint(number) as
    case when number is not null then
        cast(least(greatest(number, -9223372036854775808), 9223372036854775807) as bigint)
    end;
