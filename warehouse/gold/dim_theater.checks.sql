-- warn: the seats of a theater are known; otherwise occupancy leaves out its screenings
select theater_id from gold.dim_theater where theater_key > 0 and seats is null;
