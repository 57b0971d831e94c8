-- marts.title_current: one row per anime title, from its latest version.
-- grain    title_id
-- reads    gold.dim_anime_title
-- rebuild  never: a view
-- materialize  view
-- A deleted title shows the version that the delete closed; one known from facts only shows its id.
-- column  title_id: the title
-- column  title: display name
-- column  studio: production studio
-- column  age_rating: minimum age
-- column  release_date: release date in cinemas
-- column  run_start: first day of the run in our cinema, null without a run
-- column  run_end: last day of the run in our cinema, null while open
-- column  status: `announced`, `showing` or `ended`
-- column  is_deleted: whether it was deleted from the schedule
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
