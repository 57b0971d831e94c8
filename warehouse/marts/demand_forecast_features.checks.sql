-- fail: a product has one row for every day from its first to its last
select product_id, count(*), min(date), max(date)
from marts.demand_forecast_features(marts.last_ended_date(), 7)
group by product_id
having count(*) <> max(date) - min(date) + 1 or count(*) <> count(distinct date);

-- fail: only days after the cutoff have no target
select product_id, date, split, units
from marts.demand_forecast_features(marts.last_ended_date(), 7)
where (units is null) <> (split = 'forecast') or units < 0;
