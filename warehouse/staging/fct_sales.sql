-- staging.fct_sales: the lines of new sales and returns, signed, with the ids that facts are keyed by.
-- grain        event_id, line_number
-- reads        silver.pos_items, silver.pos_transactions
-- rebuild      never: it lives for one refresh
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
    -- R12: what a return takes back is negative; its unit price is not
    case when pos_transactions.event_type = 'return' then -pos_items.quantity else pos_items.quantity end as quantity,
    pos_items.unit_price,
    case
        when pos_transactions.event_type = 'return' then -coalesce(pos_items.discount_amount, 0)
        else coalesce(pos_items.discount_amount, 0)
    end::decimal(38, 4) as discount_amount,
    pos_items._arrival,
    pos_items._recorded_at,
from silver.pos_items
-- by place: an event_id may come again once the horizon has passed it (R21)
join silver.pos_transactions using (_partition, _offset)
