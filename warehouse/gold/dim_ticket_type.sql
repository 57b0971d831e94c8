-- gold.dim_ticket_type: ticket types of the cinema, one row per type.
-- grain        ticket_type_id
-- reads        nothing
-- rebuild      never: the contracts define the types
-- materialize  members
-- key          ticket_type_key: ticket_type_id
-- column       ticket_type_key: hash of ticket_type_id; -1 unknown, -2 not applicable
-- column       ticket_type_id: the type, as in the events
-- column       ticket_type: the type, as in the events
-- column       name: display name
-- column       is_paid: whether the ticket has a price
select
    ticket_type as ticket_type_id,
    ticket_type,
    name,
    is_paid,
from (
    values
        ('standard', 'Standard', true),
        ('premium', 'Premium', true),
        ('vip', 'VIP', true),
        ('4dx', '4DX', true),
        ('child', 'Child', true),
        ('complimentary', 'Complimentary', false)
) as ticket_types (ticket_type, name, is_paid)
