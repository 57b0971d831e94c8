-- fail: the segments contain every customer once
select segments.customers, everyone.customers
from (select coalesce(sum(customers), 0) as customers from marts.segment_summary) as segments
cross join (select count(*) as customers from gold.customer_current) as everyone
where segments.customers <> everyone.customers;
