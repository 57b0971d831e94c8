-- fail: a title has one row
select title_id, count(*) from marts.title_current group by title_id having count(*) > 1;
