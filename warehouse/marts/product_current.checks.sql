-- fail: a product has one row
select product_id, count(*) from marts.product_current group by product_id having count(*) > 1;
