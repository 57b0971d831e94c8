"""The snapshots that maintenance must keep for gold."""

from collections.abc import Collection

from pipelines.config.settings import Settings
from pipelines.errors import UsageError


def reflected_snapshots(settings: Settings) -> Collection[int]:
    """Return the ids of the silver snapshots that the published gold reflects.

    The writer's own file is never behind the published one.
    """
    from animeverse.services.query import Session

    if not settings.published_path.exists():
        return ()
    with Session(settings) as session:
        try:
            rows = list(
                session.run("select silver_snapshots from gold.refreshes order by refresh_id desc limit 1").rows
            )
        except UsageError:  # a file without gold.refreshes is not a warehouse that a refresh continues
            return ()
    return set(rows[0][0].values()) if rows else ()
