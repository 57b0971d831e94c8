-- affected.product_days: product days of which this refresh wrote lines.
-- grain        product_id, date_key
-- reads        changed.fct_sales
-- rebuild      never: a temporary table of one refresh
-- materialize  scope
select distinct product_id, date_key from changed.fct_sales
