-- fail: a review has one subject and a rating from 1 to 5
select event_id, product_id, title_id, rating
from changed.fct_review
where (product_id is null) = (title_id is null) or rating not between 1 and 5;
