-- gold.dim_time_of_day: one row per minute of the UTC day.
-- grain        time_of_day
-- reads        nothing
-- rebuild      never
-- materialize  members
-- key          time_of_day_key
-- column       time_of_day_key: minutes since midnight; -1 unknown, -2 not applicable
-- column       time_of_day: the minute as text like 09:05
-- column       hour: 0 to 23
-- column       minute: 0 to 59
-- column       day_part: night, morning, afternoon or evening
select
    minutes::integer as time_of_day_key,
    printf('%02d:%02d', minutes // 60, minutes % 60) as time_of_day,
    (minutes // 60)::integer as hour,
    (minutes % 60)::integer as minute,
    ['night', 'morning', 'afternoon', 'evening'][minutes // 360 + 1] as day_part,
from range(1440) as day (minutes)
