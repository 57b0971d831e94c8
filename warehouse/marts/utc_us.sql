-- marts.utc_us: the instant as microseconds since 1970 UTC, whatever the session's time zone.
-- call     marts.utc_us(moment)
-- grain    one value; dates and texts or timestamps without offset are UTC; a date is its first instant
-- rebuild  never
-- materialize  macro
create or replace macro marts.utc_us(moment) as
    epoch_us(cast(
        case
            when length(moment::varchar) <= 10 then moment::varchar || ' 00:00:00+00'
            -- an offset at the end; a date without time is handled above
            when regexp_matches(moment::varchar, '([Zz]|[+-][0-9]{2}(:?[0-9]{2}){0,2})$') then moment::varchar
            else moment::varchar || '+00'
        end as timestamptz
    ));
