-- fail: amounts follow from quantity, price and discount, to the last digit
select event_id, line_number, net_sales_amount, gross_margin_amount
from changed.fct_sales
where net_sales_amount <> (quantity::decimal(19, 0) * unit_price)::decimal(38, 4) - discount_amount
    or gross_margin_amount is distinct from net_sales_amount - cost_amount
    or (event_type = 'return') <> (quantity < 0);

-- fail: the new lines add up to the new lines of silver
select facts.quantity, events.quantity, facts.net_sales_amount, events.net_sales_amount
from (
    select sum(quantity) as quantity, sum(net_sales_amount) as net_sales_amount
    from changed.fct_sales
    semi join silver.pos_items using (event_id, event_time)
) as facts
cross join (
    select
        sum(case event_type when 'return' then -1 else 1 end * quantity) as quantity,
        sum(
            case event_type when 'return' then -1 else 1 end
            * ((quantity::decimal(19, 0) * unit_price)::decimal(37, 4) - coalesce(discount_amount, 0))
        ) as net_sales_amount,
    from silver.pos_items
    join silver.pos_transactions using (_partition, _offset)
) as events
where facts.quantity is distinct from events.quantity
    or facts.net_sales_amount is distinct from events.net_sales_amount;

-- warn: the cost of a line is known; otherwise the product has no version with a cost at event_time
select event_id, line_number, product_id from changed.fct_sales where cost_amount is null;
