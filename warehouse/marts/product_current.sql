-- marts.product_current: one row per product, from its latest version.
-- grain    product_id
-- reads    gold.dim_product
-- rebuild  never: a view
-- materialize  view
-- A deleted product shows the version that the delete closed; one known from facts only shows its id.
-- column  product_id: the product
-- column  name: what it is called
-- column  category: kind of product
-- column  title_id: anime title; null if there is none
-- column  supplier_id: supplier
-- column  list_price: price before discount
-- column  unit_cost: cost of one unit
-- column  reorder_point: stock at or under which to reorder
-- column  status: `active` or `discontinued`
-- column  is_deleted: whether it was deleted from the catalog
select
    product_id,
    name,
    category,
    title_id,
    supplier_id,
    list_price,
    unit_cost,
    reorder_point,
    status,
    is_deleted,
from gold.dim_product
where product_key > 0
qualify row_number() over (partition by product_id order by version desc) = 1;
