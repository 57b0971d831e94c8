-- fail: a pair also exists in the other order, with the same support and lift
select one.antecedent_product_id, one.consequent_product_id
from marts.product_affinity as one
left join marts.product_affinity as other
    on other.antecedent_product_id = one.consequent_product_id
    and other.consequent_product_id = one.antecedent_product_id
where other.support is distinct from one.support
    or other.lift is distinct from one.lift
    or one.antecedent_product_id = one.consequent_product_id;

-- fail: a pair is at most as frequent as each of its products, and a product at most as all baskets
select antecedent_product_id, consequent_product_id, pair_count
from marts.product_affinity
where not (
    pair_count <= antecedent_count and pair_count <= consequent_count
    and antecedent_count <= basket_count and consequent_count <= basket_count
)
    or support > confidence or confidence > 1;

-- fail: the counts of baskets, in total and by product, equal those of the facts
with
baskets as (
    select count(distinct (event_id, event_time)) as basket_count from gold.fct_sales where event_type = 'sale'
),
products as (
    select product_id, count(distinct (event_id, event_time)) as basket_count
    from gold.fct_sales
    where event_type = 'sale'
    group by product_id
)
select affinity.antecedent_product_id, affinity.basket_count, affinity.antecedent_count
from (
    select antecedent_product_id, any_value(basket_count) as basket_count, any_value(antecedent_count) as antecedent_count
    from marts.product_affinity
    group by antecedent_product_id
) as affinity
cross join baskets
left join products on products.product_id = affinity.antecedent_product_id
where affinity.basket_count is distinct from baskets.basket_count
    or affinity.antecedent_count is distinct from products.basket_count;
