-- affected.product_days: the days of products of which this refresh wrote lines.
-- grain        product_id, date_key
-- reads        changed.fct_sales
-- rebuild      never: it lives for one refresh
-- materialize  scope
select distinct product_id, date_key from changed.fct_sales
