-- gold.fct_sales: one row per line of a sale or a return; the lines of a return are negative.
-- grain        event_id, line_number
-- reads        staging.fct_sales, gold.dim_customer, gold.dim_product, gold.dim_store, gold.dim_channel,
--              gold.dim_payment_method
-- rebuild      lines are appended; lines of a member whose versions moved are removed and get new keys
-- materialize  fact
-- topic        pos-transactions
-- total        net_sales_amount: net sales = case when event_type = 'return' then -1 else 1 end
--              * ((quantity::decimal(19, 0) * unit_price)::decimal(38, 4) - coalesce(discount_amount, 0))
-- split        date_key
-- member       customer_key: dim_customer by customer_id at event_time
-- member       product_key: dim_product by product_id at event_time
-- column       event_id: the event
-- column       transaction_id: the receipt (degenerate dimension)
-- column       original_transaction_id: the returned sale; null for a sale
-- column       line_number: position on the receipt
-- column       event_type: sale or return
-- column       event_time: time of the sale or return
-- column       date_key: UTC day of the sale or return
-- column       time_of_day_key: UTC minute of the sale or return
-- column       customer_key: version of the customer at event_time; -1 for a guest
-- column       product_key: version of the product at event_time
-- column       store_key: the store; -1 without store_id, -2 not sold in a store
-- column       channel_key: sales channel
-- column       payment_method_key: payment method
-- column       quantity: units, negative in a return
-- column       unit_price: price of one unit before discount, never negative
-- column       discount_amount: discount of the whole line, negative in a return
-- column       net_sales_amount: quantity times unit_price less discount_amount
-- column       cost_amount: quantity times the product version's unit_cost; null if that is unknown
-- column       gross_margin_amount: net_sales_amount less cost_amount; null if the cost is unknown
-- column       customer_id: the customer; null for a guest
-- column       product_id: the product
-- column       store_id: the store, as in the event
-- column       channel: sales channel
-- column       payment_method: payment method
with
staged as (
    select
        *,
        -- decimal(19) holds every int64, so the product is exact at the edges of R5
        (quantity::decimal(19, 0) * unit_price)::decimal(38, 4) - discount_amount as net_sales_amount,
    from staging.fct_sales
),
customers as (
    select customer_key, customer_id, valid_from, effective_to from gold.dim_customer where customer_key > 0
),
products as (
    select product_key, product_id, unit_cost, valid_from, effective_to from gold.dim_product where product_key > 0
),
keyed as (
    select
        staged.*,
        customers.customer_key,
        products.product_key,
        dim_store.store_key,
        dim_channel.channel_key,
        dim_payment_method.payment_method_key,
        (staged.quantity::decimal(19, 0) * products.unit_cost)::decimal(38, 4) as cost_amount,
    from staged
    left join customers
        on staged.customer_id = customers.customer_id
        and staged.event_time >= customers.valid_from
        and (customers.effective_to is null or staged.event_time < customers.effective_to)
    left join products
        on staged.product_id = products.product_id
        and staged.event_time >= products.valid_from
        and (products.effective_to is null or staged.event_time < products.effective_to)
    left join gold.dim_store
        on staged.channel = 'store' and staged.store_id = dim_store.store_id and dim_store.store_key > 0
    left join gold.dim_channel on staged.channel = dim_channel.channel_id and dim_channel.channel_key > 0
    left join gold.dim_payment_method
        on staged.payment_method = dim_payment_method.payment_method_id and dim_payment_method.payment_method_key > 0
)
select
    event_id,
    transaction_id,
    original_transaction_id,
    line_number,
    event_type,
    event_time,
    to_date_key(utc_day(event_time)) as date_key,
    to_time_key(event_time) as time_of_day_key,
    case when customer_id is null then -1 else customer_key end as customer_key,
    product_key,
    case
        when channel <> 'store' then -2
        when store_id is null then -1
        else store_key
    end as store_key,
    channel_key,
    payment_method_key,
    quantity,
    unit_price,
    discount_amount,
    net_sales_amount::decimal(38, 4) as net_sales_amount,
    cost_amount,
    (net_sales_amount - cost_amount)::decimal(38, 4) as gross_margin_amount,
    customer_id,
    product_id,
    store_id,
    channel,
    payment_method,
    _arrival,
    _recorded_at,
from keyed
