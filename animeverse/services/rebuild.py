"""Rebuild gold from silver: in place, or into a new file as of a moment."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from animeverse.services.output_file import refuse_target
from animeverse.services.reporter import SILENT, Reporter
from animeverse.services.run import run
from pipelines.config.settings import Settings
from pipelines.errors import CheckFailedError, UsageError
from pipelines.microbatch.report import RunReport
from warehouse.writer import Refreshed

_SCHEMAS = ("gold", "marts", "ops", "work")


def rebuild_in_place(settings: Settings, stop: threading.Event, reporter: Reporter = SILENT) -> tuple[RunReport, float]:
    """Discard the writer's file and refresh from all of silver. Readers keep the published file until then.

    Returns the report and the elapsed seconds. Raises NoLakehouseError.
    """
    from pipelines.lake.open_lake import open_lakehouse

    open_lakehouse(settings).close()  # raises before anything is created
    return run(settings, "gold", follow=False, stop=stop, reporter=reporter, discard_gold=True)


def rebuild_into(settings: Settings, file: Path, as_of: datetime | None) -> Refreshed:
    """Build gold in a new file. With `as_of`, use only what had arrived in the log by then (R40).

    Raises UsageError when the file exists or its name is a schema's, and NoLakehouseError.
    """
    from pipelines.lake.open_lake import open_lakehouse
    from pipelines.silver.as_of import silver_as_of
    from pipelines.silver.changes import silver_changes
    from warehouse.rebuild import rebuild

    if file.exists():
        raise UsageError(f"{file} exists: name a new file, because nothing is overwritten")
    refuse_target(file, force=False)
    if file.stem in _SCHEMAS:
        raise UsageError(
            f"{file.name}: DuckDB names the database after the file, and {file.stem} is the name of a schema. "
            "Choose another file name"
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
