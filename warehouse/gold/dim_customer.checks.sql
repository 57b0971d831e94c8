-- fail: a version is told by its member and its beginning
select customer_id, valid_from, count(*)
from changed.dim_customer
where customer_key > 0
group by customer_id, valid_from
having count(*) > 1;

-- fail: no key stands for two versions
select customer_key, count(*)
from gold.dim_customer
semi join changed.dim_customer using (customer_key)
group by customer_key
having count(*) > 1;

-- fail: versions follow each other without overlap, and without gap but after a delete
select customer_id, valid_from, valid_to, next_from
from (
    select *, lead(valid_from) over (partition by customer_id order by valid_from) as next_from
    from changed.dim_customer
    where customer_key > 0
)
where valid_to <= valid_from
    or effective_to is distinct from next_from
    or valid_to > next_from
    or (valid_to is distinct from next_from and not is_deleted);

-- fail: a member has one current version, or none after a delete
select customer_id
from changed.dim_customer
where customer_key > 0
group by customer_id
having count(*) filter (is_current) <> case when arg_max(is_deleted, version) then 0 else 1 end;

-- fail: current is what has no end; versions count from 1, an inferred member is 0
select customer_id, version, is_current, valid_to
from (
    select
        *,
        row_number() over (partition by customer_id order by valid_from) as place,
        max(is_inferred) over (partition by customer_id) as has_inferred,
    from changed.dim_customer
    where customer_key > 0
)
where is_current <> (valid_to is null)
    or version <> place - has_inferred::integer
    or is_inferred <> (version = 0);
