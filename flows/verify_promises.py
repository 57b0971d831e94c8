"""Nothing lost, nothing twice, proved: `python -m flows.verify_promises`."""

import asyncio
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.events import emit_event

from flows import artifacts as story
from flows import layers
from flows.continuous import LAKEHOUSE
from flows.execution import guest, in_thread, skipped
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError, BronzeTruncatedError, CheckFailedError
from pipelines.home_lock import home_lock
from pipelines.operations.check import Check
from pipelines.operations.verify import verify
from warehouse.verify import gold_checks

BROKEN = "animeverse.promise.broken"


@flow(name="verify-promises")
async def verify_promises(rebuild: bool = False) -> int | State[Any]:
    """Recount everything from the log, the tables and gold themselves; how many checks hold. Fails when one does not.

    `micro-batch` steps aside meanwhile, since a count over tables that move proves nothing.

    Args:
        rebuild: build silver and gold anew beside, and compare row for row; not where retention has cut bronze
    """
    home = load_settings().home
    try:
        async with guest(home):
            await layers.silver()  # a loop that steps aside ends between two steps: what bronze has goes on to gold
            await layers.gold()
            found = await prove(rebuild)
    except AlreadyRunningError as error:
        return skipped(error)
    await story.checks(found)
    failed = [f"{check.name}: {check.detail}" for check in found if not check.ok]
    if failed:
        emit_event(BROKEN, resource=LAKEHOUSE, payload={"home": str(home), "failed": failed[:20]})
        raise CheckFailedError(
            f"{len(failed)} of {len(found)} checks failed. Look at `animeverse trace` and `animeverse reconcile`:\n"
            + "\n".join(failed)
        )
    return len(found)


@task(**RETRIES, task_run_name="verify")
async def prove(rebuild: bool) -> list[Check]:
    """All checks, with nobody writing."""
    settings, logger = load_settings(), get_run_logger()

    def work(_stop: object) -> list[Check]:
        with home_lock(settings.home):
            try:
                return verify(settings, rebuild=rebuild, gold_checks=gold_checks)
            except BronzeTruncatedError as error:
                logger.warning("%s", error)
                return verify(settings, gold_checks=gold_checks)

    found = await in_thread(work)
    logger.info("%d checks, %d failed", len(found), sum(not check.ok for check in found))
    return found


if __name__ == "__main__":
    print(asyncio.run(verify_promises()))  # noqa: T201
