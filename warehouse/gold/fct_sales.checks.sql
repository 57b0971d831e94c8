-- fail: the grain holds
select event_id, line_number, event_time, count(*)
from changed.fct_sales
group by event_id, line_number, event_time
having count(*) > 1;

-- warn: an event_id came again once the horizon had passed it
select event_id from changed.fct_sales group by event_id having min(event_time) <> max(event_time);

-- fail: no key is null
select *
from changed.fct_sales
where date_key is null or time_of_day_key is null or customer_key is null or product_key is null or store_key is null or channel_key is null or payment_method_key is null;

-- fail: customer_key is the version of customer_id that was valid at event_time
select fact.event_id, fact.customer_id, fact.event_time, fact.customer_key
from changed.fct_sales as fact
left join gold.dim_customer as dim on fact.customer_key = dim.customer_key
where dim.customer_key is null
    or (fact.customer_id is null) <> (fact.customer_key < 0)
    or (
        fact.customer_key > 0
        and (
            fact.customer_id <> dim.customer_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: product_key is the version of product_id that was valid at event_time
select fact.event_id, fact.product_id, fact.event_time, fact.product_key
from changed.fct_sales as fact
left join gold.dim_product as dim on fact.product_key = dim.product_key
where dim.product_key is null
    or (fact.product_id is null) <> (fact.product_key < 0)
    or (
        fact.product_key > 0
        and (
            fact.product_id <> dim.product_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: amounts follow from quantity, price and discount, to the last digit
select event_id, line_number, net_sales_amount, gross_margin_amount
from changed.fct_sales
where net_sales_amount <> (quantity::decimal(19, 0) * unit_price)::decimal(38, 4) - discount_amount
    or gross_margin_amount is distinct from net_sales_amount - cost_amount
    or (event_type = 'return') <> (quantity < 0);

-- fail: the new lines add up to silver's
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

-- warn: nobody knows what a line cost: the product has no version at its time
select event_id, line_number, product_id from changed.fct_sales where cost_amount is null;
