-- staging.fct_sales: the lines of new sales and returns, signed, with the ids of their members.
-- grain        event_id, line_number
-- reads        silver.pos_items, silver.pos_transactions
-- rebuild      never: a temporary table of one refresh
-- materialize  staging
select
    pos_items.event_id,
    pos_transactions.transaction_id,
    pos_transactions.original_transaction_id,
    pos_items.line_number,
    pos_transactions.event_type,
    pos_items.event_time,
    pos_transactions.customer_id,
    pos_items.product_id,
    pos_transactions.store_id,
    pos_transactions.channel,
    pos_transactions.payment_method,
    -- R12: the quantity of a return is negative, its unit price is not
    case when pos_transactions.event_type = 'return' then -pos_items.quantity else pos_items.quantity end as quantity,
    pos_items.unit_price,
    case
        when pos_transactions.event_type = 'return' then -coalesce(pos_items.discount_amount, 0)
        else coalesce(pos_items.discount_amount, 0)
    end::decimal(38, 4) as discount_amount,
    pos_items._arrival,
    pos_items._recorded_at,
from silver.pos_items
-- not by event_id, which may occur again beyond the deduplication horizon (R21)
join silver.pos_transactions using (_partition, _offset)
