-- fail: the grain holds
select event_id, event_time, count(*)
from changed.fct_review
group by event_id, event_time
having count(*) > 1;

-- warn: an event_id came again once the horizon had passed it
select event_id, count(*) from changed.fct_review group by event_id having count(*) > 1;

-- fail: no key is null
select *
from changed.fct_review
where date_key is null or time_of_day_key is null or customer_key is null or product_key is null or title_key is null;

-- fail: customer_key is the version of customer_id that was valid at event_time
select fact.event_id, fact.customer_id, fact.event_time, fact.customer_key
from changed.fct_review as fact
left join gold.dim_customer as dim on fact.customer_key = dim.customer_key
where dim.customer_key is null
    or (fact.customer_id is null) <> (fact.customer_key < 0)
    or (
        fact.customer_key > 0
        and (
            fact.customer_id <> dim.customer_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: product_key is the version of product_id that was valid at event_time
select fact.event_id, fact.product_id, fact.event_time, fact.product_key
from changed.fct_review as fact
left join gold.dim_product as dim on fact.product_key = dim.product_key
where dim.product_key is null
    or (fact.product_id is null) <> (fact.product_key < 0)
    or (
        fact.product_key > 0
        and (
            fact.product_id <> dim.product_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: title_key is the version of title_id that was valid at event_time
select fact.event_id, fact.title_id, fact.event_time, fact.title_key
from changed.fct_review as fact
left join gold.dim_anime_title as dim on fact.title_key = dim.title_key
where dim.title_key is null
    or (fact.title_id is null) <> (fact.title_key < 0)
    or (
        fact.title_key > 0
        and (
            fact.title_id <> dim.title_id
            or fact.event_time < dim.valid_from
            or fact.event_time >= coalesce(dim.effective_to, 'infinity')
        )
    );

-- fail: a review has one subject, and 1 to 5 stars
select event_id, product_id, title_id, rating
from changed.fct_review
where (product_id is null) = (title_id is null) or rating not between 1 and 5;
