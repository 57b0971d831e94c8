-- marts.product_affinity: which products are bought together, as ordered pairs.
-- grain    antecedent_product_id, consequent_product_id
-- reads    gold.fct_sales, marts.ratio
-- rebuild  whole: a view
-- materialize  view
-- A basket is the set of products of one sale event; returns are none. Support = baskets with both ÷ all baskets;
-- confidence = baskets with both ÷ baskets with the antecedent; lift = confidence ÷ the consequent's share of baskets.
-- Pairs in fewer than 2 baskets are left out; `set variable affinity_least_count = n` sets another bound for a session.
-- column  antecedent_product_id: the product already in the basket
-- column  consequent_product_id: the product that goes with it
-- column  basket_count: all baskets
-- column  antecedent_count: baskets with the antecedent
-- column  consequent_count: baskets with the consequent
-- column  pair_count: baskets with both
-- column  support: pair_count ÷ basket_count
-- column  confidence: pair_count ÷ antecedent_count
-- column  lift: confidence ÷ (consequent_count ÷ basket_count); above 1 they attract each other
with
basket_lines as (
    select distinct event_id, product_id from gold.fct_sales where event_type = 'sale'
),
products as (
    select product_id, count(*) as basket_count from basket_lines group by product_id
),
total as (
    select count(distinct event_id) as basket_count from gold.fct_sales where event_type = 'sale'
),
pairs as (
    select one.product_id as first_id, other.product_id as second_id, count(*) as pair_count
    from basket_lines as one
    join basket_lines as other on other.event_id = one.event_id and other.product_id > one.product_id
    group by first_id, second_id
    having count(*) >= coalesce(getvariable('affinity_least_count'), 2)
),
ordered as (
    select first_id as antecedent_product_id, second_id as consequent_product_id, pair_count from pairs
    union all
    select second_id as antecedent_product_id, first_id as consequent_product_id, pair_count from pairs
)
select
    ordered.antecedent_product_id,
    ordered.consequent_product_id,
    total.basket_count,
    antecedents.basket_count as antecedent_count,
    consequents.basket_count as consequent_count,
    ordered.pair_count,
    marts.ratio(ordered.pair_count, total.basket_count) as support,
    marts.ratio(ordered.pair_count, antecedents.basket_count) as confidence,
    -- one division, so that equal lifts are equal to the last bit
    marts.ratio(
        ordered.pair_count::hugeint * total.basket_count, antecedents.basket_count::hugeint * consequents.basket_count
    ) as lift,
from ordered
cross join total
join products as antecedents on antecedents.product_id = ordered.antecedent_product_id
join products as consequents on consequents.product_id = ordered.consequent_product_id;
