"""Prove that nothing is lost and nothing counts twice: `python -m flows.verify_promises`."""

import asyncio
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.events import emit_event

from flows import artifacts, layers
from flows.continuous import LAKEHOUSE
from flows.execution import exclusive_home, in_thread, skipped
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
    """Recount the log, the tables and gold, and return the number of checks. Fails when a check fails.

    `micro-batch` pauses meanwhile, because the counts are consistent only while no table changes.

    Args:
        rebuild: also rebuild silver and gold and compare row by row; skipped after retention has removed bronze records
    """
    home = load_settings().home
    try:
        async with exclusive_home(home):
            await layers.silver()  # a paused loop may have left records in bronze that gold does not reflect
            await layers.gold()
            checks = await run_checks(rebuild)
    except AlreadyRunningError as error:
        return skipped(error)
    await artifacts.show_checks(checks)
    failed = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    if failed:
        emit_event(BROKEN, resource=LAKEHOUSE, payload={"home": str(home), "failed": failed[:20]})
        raise CheckFailedError(
            f"{len(failed)} of {len(checks)} checks failed. See `animeverse trace` and `animeverse reconcile`:\n"
            + "\n".join(failed)
        )
    return len(checks)


@task(**RETRIES, task_run_name="verify")
async def run_checks(rebuild: bool) -> list[Check]:
    """Run all checks while holding the home's lock."""
    settings, logger = load_settings(), get_run_logger()

    def work(_stop: object) -> list[Check]:
        with home_lock(settings.home):
            try:
                return verify(settings, rebuild=rebuild, gold_checks=gold_checks)
            except BronzeTruncatedError as error:
                logger.warning("%s", error)
                return verify(settings, gold_checks=gold_checks)

    checks = await in_thread(work)
    logger.info("%d checks, %d failed", len(checks), sum(not check.ok for check in checks))
    return checks


if __name__ == "__main__":
    print(asyncio.run(verify_promises()))  # noqa: T201
