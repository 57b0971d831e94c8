-- gold.dim_payment_method: payment methods used in shop or cinema, one row per method.
-- grain        payment_method_id
-- reads        staging.fct_sales, staging.fct_cinema_attendance
-- rebuild      members are only added
-- materialize  members
-- key          payment_method_key: payment_method_id
-- column       payment_method_key: hash of payment_method_id; -1 unknown, -2 not applicable
-- column       payment_method_id: the method, as in the events
-- column       payment_method: the method, as in the events
with
used as (
    select payment_method from staging.fct_sales
    union
    select payment_method from staging.fct_cinema_attendance
)
select
    payment_method as payment_method_id,
    payment_method,
from used
