"""Small files, old snapshots, files that nothing refers to: `python -m flows.maintain_lake`."""

import asyncio
import threading
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State

from animeverse.services.maintain import reflected_snapshots
from flows import artifacts as story
from flows.execution import guest, in_thread, skipped
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError
from pipelines.maintenance.maintain import Report, maintain

_HEADS = ("table", "removed", "files compacted", "into", "expired", "files deleted", "bytes deleted", "left for later")


@flow(name="maintain-lake")
async def maintain_lake(dry_run: bool = False) -> dict[str, int] | State[Any]:
    """Merge small files, thin out old snapshots, delete what nothing refers to. What a query reads stays the same.

    `micro-batch` does the same bit by bit while it loops, and steps aside while this does the rest.

    Args:
        dry_run: change nothing, show what would be done
    """
    try:
        async with guest(load_settings().home):
            report = await tidy(dry_run)
    except AlreadyRunningError as error:
        return skipped(error)
    of = report.tables
    rows = [(t.table, t.removed, t.files, t.into, t.expired, t.deleted, t.deleted_bytes, t.note or "") for t in of]
    await story.text(
        "maintenance", story.table(_HEADS, rows), "What was done, by table." if not dry_run else "A dry run."
    )
    return {
        "removed": sum(t.removed for t in of),
        "files": sum(t.files for t in of),
        "expired": sum(t.expired for t in of),
        "deleted": sum(t.deleted for t in of),
    }


@task(**RETRIES, task_run_name="maintain")
async def tidy(dry_run: bool) -> Report:
    """All tables, one after the other."""
    settings, logger = load_settings(), get_run_logger()

    def work(stop: threading.Event) -> Report:
        pinned = reflected_snapshots(settings)
        return maintain(settings, dry_run=dry_run, pinned=pinned, stopped=stop.is_set, say=logger.info)

    return await in_thread(work)


if __name__ == "__main__":
    print(asyncio.run(maintain_lake()))  # noqa: T201
