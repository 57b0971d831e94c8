"""Compact files, expire snapshots, delete unreferenced files: `python -m flows.maintain_lake`."""

import asyncio
import threading
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from animeverse.services.maintain import reflected_snapshots
from flows import artifacts
from flows.execution import exclusive_home, in_thread, skipped
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError
from pipelines.maintenance.maintain import Report, maintain

_HEADS = ("table", "removed", "files compacted", "into", "expired", "files deleted", "bytes deleted", "left for later")


@flow(name="maintain-lake")
async def maintain_lake(dry_run: bool = False) -> dict[str, int] | State[Any]:
    """Compact small files, expire old snapshots, delete unreferenced files. Query results stay the same.

    `micro-batch` does the same in small steps while it loops, and pauses while this flow does the rest.

    Args:
        dry_run: show what would be done, and change nothing
    """
    try:
        async with exclusive_home(load_settings().home):
            report = await maintain_tables(dry_run)
    except AlreadyRunningError as error:
        return skipped(error)
    tables = report.tables
    rows = [(t.table, t.removed, t.files, t.into, t.expired, t.deleted, t.deleted_bytes, t.note or "") for t in tables]
    description = "A dry run." if dry_run else "The work done, by table."
    await artifacts.show_text("maintenance", artifacts.table(_HEADS, rows), description)
    return {
        "removed": sum(t.removed for t in tables),
        "files": sum(t.files for t in tables),
        "expired": sum(t.expired for t in tables),
        "deleted": sum(t.deleted for t in tables),
    }


@task(**RETRIES, task_run_name="maintain")
async def maintain_tables(dry_run: bool) -> Report:
    """Maintain all tables, one after the other."""
    settings, logger = load_settings(), get_run_logger()

    def work(stop: threading.Event) -> Report:
        pinned = reflected_snapshots(settings)
        return maintain(settings, dry_run=dry_run, pinned=pinned, stopped=stop.is_set, say=logger.info)

    return await in_thread(work)


if __name__ == "__main__":
    print(asyncio.run(maintain_lake()))  # noqa: T201
