-- marts.known_sales: the sales lines that had happened and had arrived in the log by the cutoff.
-- call     marts.known_sales(cutoff)
-- grain    event_id, line_number
-- reads    gold.fct_sales, marts.utc_day, marts.utc_us
-- rebuild  never: a macro
-- materialize  macro
-- All data sets for learning read sales from here, so none contains events after its cutoff (R40). Attributes of
-- customer and product are left out, because a dimension does not record which version was known at the cutoff.
-- column  event_id: the sale or return
-- column  event_type: `sale` or `return`
-- column  customer_id: the customer; null for a guest
-- column  product_id: the product
-- column  channel: `store`, `online` or `mobile`
-- column  date: UTC day
-- column  event_us: time of the event, microseconds since 1970 UTC
-- column  quantity: units, negative in a return
-- column  discount_amount: off the line, negative in a return
-- column  net_sales_amount: net sales, negative in a return
create or replace macro marts.known_sales(cutoff) as table
select
    event_id,
    event_type,
    customer_id,
    product_id,
    channel,
    marts.utc_day(event_time) as date,
    epoch_us(event_time) as event_us,
    quantity,
    discount_amount,
    net_sales_amount,
from gold.fct_sales
where epoch_us(event_time) <= marts.utc_us(cutoff) and epoch_us(_recorded_at) <= marts.utc_us(cutoff);
