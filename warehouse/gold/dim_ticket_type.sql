-- gold.dim_ticket_type: classes of cinema tickets.
-- grain        ticket_type_id
-- reads        nothing
-- rebuild      never: the contracts fix it
-- materialize  members
-- key          ticket_type_key: ticket_type_id
-- column       ticket_type_key: hash of ticket_type_id; -1 unknown, -2 not applicable
-- column       ticket_type_id: the class, as events name it
-- column       ticket_type: the class, as events name it
-- column       name: the class, for people
-- column       is_paid: somebody pays for it
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
