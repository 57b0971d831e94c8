"""`animeverse rebuild gold`: the warehouse anew from silver, in place or as it was known at a moment."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from animeverse.services import run as running
from pipelines.config.settings import Settings
from pipelines.errors import CheckFailedError, UsageError
from pipelines.microbatch.report import RunReport
from warehouse.writer import Refreshed


def in_place(settings: Settings, stop: threading.Event) -> tuple[RunReport, float]:
    """Throw away the writer's work and refresh from all of silver; readers keep the old file until then."""
    from pipelines.lake.catalog import open_lakehouse

    open_lakehouse(settings).close()  # where there is none, none is made
    return running.run(settings, "gold", follow=False, stop=stop, anew=True)


def into(settings: Settings, file: Path, as_of: datetime | None) -> Refreshed:
    """The warehouse in a file of its own; with `as_of`, of what had arrived in the log by then (R40)."""
    from pipelines.lake.catalog import open_lakehouse
    from pipelines.silver.as_of import silver_as_of
    from pipelines.silver.changes import silver_changes
    from warehouse.rebuild import rebuild

    if file.exists():
        raise UsageError(f"{file} exists: name a file that does not, so that nothing is overwritten")
    if file.stem in ("gold", "marts", "ops", "work"):
        raise UsageError(
            f"{file.name} would be a database and a schema of one name, which DuckDB refuses: name it otherwise"
        )
    lake = open_lakehouse(settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        changes = silver_changes(lake, {}) if as_of is None else silver_as_of(lake, as_of)
        return rebuild(changes, file, datetime.now(UTC))
    except CheckFailedError:
        with suppress(FileNotFoundError):
            file.unlink()
        raise
    finally:
        lake.close()
