-- fail: one row a member, one member a key
select payment_method_id, payment_method_key
from gold.dim_payment_method
qualify count(*) over (partition by payment_method_key) > 1 or (payment_method_key >= 0 and count(*) over (partition by payment_method_key >= 0, payment_method_id) > 1);

-- fail: rows -1 and -2 are there
select count(*) from gold.dim_payment_method where payment_method_key in (-1, -2) having count(*) <> 2;
