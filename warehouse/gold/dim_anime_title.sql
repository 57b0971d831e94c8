-- gold.dim_anime_title: one row per version of an anime title (SCD2).
-- grain        title_id, valid_from
-- reads        silver.anime_schedule
-- rebuild      by title_id: a late change recomputes all versions of the member; a rerun gives the same rows and keys
-- materialize  history
-- topic        anime-schedule
-- key          title_key: title_id
-- tracked      age_rating, release_date, run_start, run_end, status
-- column       title_key: version key, a hash of title_id and valid_from; -1 unknown, -2 not applicable
-- column       title_id: the title
-- column       title: display name
-- column       genres: genres, main genre first
-- column       studio: production studio
-- column       age_rating: minimum age
-- column       runtime_minutes: length in minutes
-- column       release_date: release date in cinemas
-- column       run_start: first day of the run in our cinema
-- column       run_end: last day of the run in our cinema
-- column       status: announced, showing or ended
select
    title_id,
    event_type,
    event_time,
    _partition,
    _offset,
    _recorded_at,
    title,
    genres,
    studio,
    age_rating,
    runtime_minutes,
    release_date,
    run_start,
    run_end,
    status,
from silver.anime_schedule
