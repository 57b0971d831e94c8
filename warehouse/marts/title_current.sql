-- marts.title_current: one row for each anime title, as its latest version says.
-- grain    title_id
-- reads    gold.dim_anime_title
-- rebuild  whole: a view
-- materialize  view
-- A deleted title shows the version that the delete closed; one only seen in facts shows its id.
-- column  title_id: the title
-- column  title: what it is called
-- column  studio: who made it
-- column  age_rating: from which age
-- column  release_date: first day in cinemas
-- column  run_start: first day of our run, null if there is none
-- column  run_end: last day of our run, null while open
-- column  status: `announced`, `showing` or `ended`
-- column  is_deleted: whether it left the schedule
select
    title_id,
    title,
    studio,
    age_rating,
    release_date,
    run_start,
    run_end,
    status,
    is_deleted,
from gold.dim_anime_title
where title_key > 0
qualify row_number() over (partition by title_id order by version desc) = 1;
