"""Rebuild gold from silver, in place or as of a moment: `python -m flows.rebuild`."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from animeverse.services.rebuild import rebuild_in_place, rebuild_into
from flows.execution import exclusive_home, in_thread, skipped
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError, UsageError


@flow(name="rebuild")
async def rebuild(into: str | None = None, as_of: datetime | None = None) -> str | State[Any]:
    """Rebuild gold with the same rows and keys. Readers keep the published file until the new one is complete.

    Args:
        into: build into this new DuckDB file and leave gold unchanged; a relative path starts at the home
        as_of: use only what had arrived in the log by this time (UTC without a zone); needs `into`
    """
    home = load_settings().home
    if into is None:
        if as_of is not None:
            raise UsageError("as_of needs a file in `into`: the live gold always reflects everything that has arrived")
        try:
            async with exclusive_home(home):
                return await in_place()
        except AlreadyRunningError as error:
            return skipped(error)
    moment = as_of.replace(tzinfo=as_of.tzinfo or UTC) if as_of is not None else None
    return await into_file(home / into, moment)


@task(**RETRIES, task_run_name="gold")
async def in_place() -> str:
    """Rebuild the live gold and return its path."""
    settings = load_settings()

    def work(stop: threading.Event) -> str:
        rebuild_in_place(settings, stop)
        return str(settings.published_path)

    return await in_thread(work)


@task(**RETRIES, task_run_name="gold into a file")
async def into_file(file: Path, as_of: datetime | None) -> str:
    """Build gold into a new file and return its path."""
    settings = load_settings()
    refreshed = await in_thread(lambda _stop: rebuild_into(settings, file, as_of))
    get_run_logger().info("%d rows in %s", sum(refreshed.rows_changed.values()), file)
    return str(file)


if __name__ == "__main__":
    print(asyncio.run(rebuild()))  # noqa: T201
