-- fail: a pair has its mirror, with the same support and lift
select one.antecedent_product_id, one.consequent_product_id
from marts.product_affinity as one
left join marts.product_affinity as other
    on other.antecedent_product_id = one.consequent_product_id
    and other.consequent_product_id = one.antecedent_product_id
where other.support is distinct from one.support
    or other.lift is distinct from one.lift
    or one.antecedent_product_id = one.consequent_product_id;

-- fail: a pair is at most as frequent as each of its products, and they as all baskets
select antecedent_product_id, consequent_product_id, pair_count
from marts.product_affinity
where not (
    pair_count <= antecedent_count and pair_count <= consequent_count
    and antecedent_count <= basket_count and consequent_count <= basket_count
)
    or support > confidence or confidence > 1;
