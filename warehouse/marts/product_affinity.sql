-- marts.product_affinity: products bought together, as ordered pairs.
-- grain    antecedent_product_id, consequent_product_id
-- reads    work.product_numbers, work.product_pairs, work.new_product_pairs, work.wide_baskets, marts.ratio
-- rebuild  never: a view over counts that each refresh updates (warehouse/refresh/basket_counts.py)
-- materialize  view
-- A basket is the set of products of one sale event; returns have none. Support = baskets with both ÷ all baskets;
-- confidence = baskets with both ÷ baskets with the antecedent; lift = confidence ÷ the consequent's share of baskets.
-- Pairs in fewer than 2 baskets are left out; `set variable affinity_least_count = n` sets another bound for a session.
-- column  antecedent_product_id: the given product
-- column  consequent_product_id: the other product of the pair
-- column  basket_count: all baskets
-- column  antecedent_count: baskets with the antecedent
-- column  consequent_count: baskets with the consequent
-- column  pair_count: baskets with both
-- column  support: pair_count ÷ basket_count
-- column  confidence: pair_count ÷ antecedent_count
-- column  lift: confidence ÷ (consequent_count ÷ basket_count); above 1 they are bought together more often than by
--         chance
with
wide as (
    select one.product_number as first_number, other.product_number as second_number, count(*) as basket_count
    from work.wide_baskets as one
    join work.wide_baskets as other
        on other.event_time = one.event_time
        and other.event_hash = one.event_hash
        and other.product_number > one.product_number
    group by first_number, second_number
),
counted as (
    select first_number, second_number, basket_count from work.product_pairs
    union all
    select first_number, second_number, basket_count from work.new_product_pairs
    union all
    select first_number, second_number, basket_count from wide
),
-- a product paired with itself: the baskets with it; 0 paired with 0: all baskets
counts as (
    select first_number, second_number, sum(basket_count)::bigint as basket_count
    from counted
    group by first_number, second_number
    having sum(basket_count) >= coalesce(getvariable('affinity_least_count'), 2)
),
products as (
    select product_numbers.product_id, first_number as product_number, basket_count
    from counts
    join work.product_numbers on product_numbers.product_number = first_number
    where first_number = second_number
),
total as (
    select basket_count from counts where first_number = 0
),
ordered as (
    select first_number as antecedent_number, second_number as consequent_number, basket_count as pair_count
    from counts
    where first_number < second_number
    union all
    select second_number, first_number, basket_count from counts where first_number < second_number
)
select
    antecedents.product_id as antecedent_product_id,
    consequents.product_id as consequent_product_id,
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
join products as antecedents on antecedents.product_number = ordered.antecedent_number
join products as consequents on consequents.product_number = ordered.consequent_number;
