"""`animeverse maintain`: which snapshots gold needs, and how the report looks."""

from collections.abc import Collection

from pipelines.config.settings import Settings
from pipelines.errors import UsageError


def reflected_snapshots(settings: Settings) -> Collection[int]:
    """The silver snapshots that the published gold reflects. The writer's own file never lies before it."""
    from animeverse.services.query import Session

    if not settings.published_path.exists():
        return ()
    with Session(settings) as session:
        try:
            found = list(
                session.run("select silver_snapshots from gold.refreshes order by refresh_id desc limit 1").rows
            )
        except UsageError:  # a file that holds no refreshes is not ours to read on from
            return ()
    return set(found[0][0].values()) if found else ()
