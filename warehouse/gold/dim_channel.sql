-- gold.dim_channel: sales channels of shop and cinema, one row per channel.
-- grain        channel_id
-- reads        nothing
-- rebuild      never: the contracts define the channels
-- materialize  members
-- key          channel_key: channel_id
-- column       channel_key: hash of channel_id; -1 unknown, -2 not applicable
-- column       channel_id: the channel, as in the events
-- column       channel: the channel, as in the events
-- column       name: display name
-- column       is_digital: whether it is an online channel
-- column       sells_merchandise: whether the shop uses it
-- column       sells_tickets: whether the cinema uses it
select
    channel as channel_id,
    channel,
    name,
    is_digital,
    sells_merchandise,
    sells_tickets,
from (
    values
        ('store', 'Store', false, true, false),
        ('online', 'Online', true, true, true),
        ('mobile', 'Mobile app', true, true, true),
        ('box_office', 'Box office', false, false, true)
) as channels (channel, name, is_digital, sells_merchandise, sells_tickets)
