"""Gold anew from silver, in place or as it was known at a moment: `python -m flows.rebuild`."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from animeverse.services import rebuild as rebuilding
from flows.execution import guest, in_thread, skipped
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError, UsageError


@flow(name="rebuild")
async def rebuild(into: str | None = None, as_of: datetime | None = None) -> str | State[Any]:
    """Build gold from nothing; every row and key is the same as before. Readers keep the published file until then.

    Args:
        into: a new DuckDB file, gold is left alone then; a relative path lies in the home
        as_of: only what had arrived in the log by then, UTC unless it says so; needs `into`
    """
    home = load_settings().home
    if into is None:
        if as_of is not None:
            raise UsageError("as_of needs a file in `into`: gold itself always reflects all that has arrived")
        try:
            async with guest(home):
                return await in_place()
        except AlreadyRunningError as error:
            return skipped(error)
    moment = as_of.replace(tzinfo=as_of.tzinfo or UTC) if as_of is not None else None
    return await beside(home / into, moment)


@task(**RETRIES, task_run_name="gold")
async def in_place() -> str:
    """The live warehouse."""
    settings = load_settings()

    def work(stop: threading.Event) -> str:
        rebuilding.in_place(settings, stop)
        return str(settings.published_path)

    return await in_thread(work)


@task(**RETRIES, task_run_name="gold into a file")
async def beside(file: Path, as_of: datetime | None) -> str:
    """A warehouse of its own."""
    settings = load_settings()
    done = await in_thread(lambda _stop: rebuilding.into(settings, file, as_of))
    get_run_logger().info("%d rows in %s", sum(done.rows_changed.values()), file)
    return str(file)


if __name__ == "__main__":
    print(asyncio.run(rebuild()))  # noqa: T201
