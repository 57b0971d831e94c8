-- marts.product_current: one row for each product, as its latest version says.
-- grain    product_id
-- reads    gold.dim_product
-- rebuild  whole: a view
-- materialize  view
-- A deleted product shows the version that the delete closed; one only seen in facts shows its id.
-- column  product_id: the product
-- column  name: what it is called
-- column  category: kind of product
-- column  title_id: the anime it belongs to, null for none
-- column  supplier_id: who makes it
-- column  list_price: price before discount
-- column  unit_cost: cost of one unit
-- column  reorder_point: order again at or under this stock
-- column  status: `active` or `discontinued`
-- column  is_deleted: whether it left the catalog
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
