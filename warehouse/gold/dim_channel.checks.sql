-- fail: one row a member, one member a key
select channel_id, channel_key
from gold.dim_channel
qualify count(*) over (partition by channel_key) > 1 or (channel_key >= 0 and count(*) over (partition by channel_key >= 0, channel_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_channel where channel_key in (-1, -2) having count(*) <> 2;
