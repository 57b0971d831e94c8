-- gold.dim_channel: where shop and cinema sell, one row a channel of either.
-- grain        channel_id
-- reads        nothing
-- rebuild      never: the contracts fix it
-- materialize  members
-- key          channel_key: channel_id
-- column       channel_key: hash of channel_id; -1 unknown, -2 not applicable
-- column       channel_id: the channel, as events name it
-- column       channel: the channel, as events name it
-- column       name: the channel, for people
-- column       is_digital: sold over the net
-- column       sells_merchandise: the shop sells there
-- column       sells_tickets: the cinema sells there
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
