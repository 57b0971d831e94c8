-- gold.dim_product: one row per version of a product (SCD2).
-- grain        product_id, valid_from
-- reads        silver.product_catalog
-- rebuild      by product_id: a late change recomputes all versions of the member; a rerun gives the same rows and keys
-- materialize  history
-- topic        product-catalog
-- key          product_key: product_id
-- tracked      category, title_id, supplier_id, list_price, unit_cost, status
-- unpriced     unit_cost
-- column       product_key: version key, a hash of product_id and valid_from; -1 unknown, -2 not applicable
-- column       product_id: the product
-- column       name: display name
-- column       category: kind of product
-- column       title_id: anime title of the product
-- column       supplier_id: supplier
-- column       list_price: price before discount
-- column       unit_cost: cost of one unit; null in an inferred version
-- column       reorder_point: stock at or under which to reorder
-- column       status: active or discontinued
select
    product_id,
    event_type,
    event_time,
    _partition,
    _offset,
    _recorded_at,
    name,
    category,
    title_id,
    supplier_id,
    list_price,
    unit_cost,
    reorder_point,
    status,
from silver.product_catalog
