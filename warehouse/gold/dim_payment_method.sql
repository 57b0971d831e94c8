-- gold.dim_payment_method: ways to pay that were ever used, in shop or cinema.
-- grain        payment_method_id
-- reads        staging.fct_sales, staging.fct_cinema_attendance
-- rebuild      members are only added
-- materialize  members
-- key          payment_method_key: payment_method_id
-- column       payment_method_key: hash of payment_method_id; -1 unknown, -2 not applicable
-- column       payment_method_id: the way, as events name it
-- column       payment_method: the way, as events name it
with
seen as (
    select payment_method from staging.fct_sales
    union
    select payment_method from staging.fct_cinema_attendance
)
select
    payment_method as payment_method_id,
    payment_method,
from seen
