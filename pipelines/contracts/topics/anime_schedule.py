"""The contract of `anime-schedule`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import UPSERT, date_field, enum_field, integer_field, text_field, texts_field


class AnimeSchedule(Event):
    """An anime title's master data as of event_time, or the end of it."""

    event_type = enum_field("what happened", ("upsert", "delete"))
    title_id = text_field("the title")
    title = text_field("what it is called", required_for=UPSERT)
    genres = texts_field("its genres, main one first", required_for=UPSERT)
    studio = text_field("who made it", required_for=UPSERT)
    age_rating = text_field("from which age", required_for=UPSERT)
    runtime_minutes = integer_field("length in minutes", minimum=0, required_for=UPSERT)
    release_date = date_field("first day in cinemas", required_for=UPSERT)
    run_start = date_field("first day of our run", optional=True)
    run_end = date_field("last day of our run", optional=True)
    status = enum_field("where it stands", ("announced", "showing", "ended"), required_for=UPSERT)


CONTRACT = contract("anime-schedule", "title_id", AnimeSchedule, is_master=True)
