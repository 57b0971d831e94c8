-- fail: one row a member, one member a key
select ticket_type_id, ticket_type_key
from gold.dim_ticket_type
qualify count(*) over (partition by ticket_type_key) > 1 or (ticket_type_key >= 0 and count(*) over (partition by ticket_type_key >= 0, ticket_type_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_ticket_type where ticket_type_key in (-1, -2) having count(*) <> 2;
