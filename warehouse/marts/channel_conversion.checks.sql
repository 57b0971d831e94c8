-- fail: every customer with a purchase is counted once
select first_purchases.customers, buyers.customers
from (select coalesce(sum(customers), 0) as customers from marts.channel_conversion) as first_purchases
cross join (
    select count(distinct customer_id) as customers from gold.fct_customer_engagement where is_purchase_day
) as buyers
where first_purchases.customers <> buyers.customers;

-- fail: converted customers are at most all customers, and those of a shorter period at most those of a longer one
select first_area, first_channel, customers, converted_customers
from marts.channel_conversion
where not (
    converted_30_days_customers <= converted_90_days_customers
    and converted_90_days_customers <= converted_customers
    and converted_customers <= customers
);
