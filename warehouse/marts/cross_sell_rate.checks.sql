-- fail: customers of either are those of shop and cinema less those of both
select shop_customers, cinema_customers, both_customers, either_customers
from marts.cross_sell_rate(marts.last_ended_date())
where either_customers <> shop_customers + cinema_customers - both_customers;
