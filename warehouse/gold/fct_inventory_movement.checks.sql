-- fail: incoming quantities are positive, outgoing quantities negative
select event_id, event_type, quantity
from changed.fct_inventory_movement
where (event_type in ('delivery', 'transfer_in') and quantity <= 0)
    or (event_type in ('shrinkage', 'transfer_out') and quantity >= 0);
