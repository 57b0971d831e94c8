"""Log to bronze to silver to gold: once as `python -m flows.micro_batch`, in a loop inside a run as a deployment."""

import asyncio
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from flows import artifacts, continuous, layers
from flows.execution import exclusive_home, skipped
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.report import TopicReport


@flow(name="micro-batch")
async def micro_batch(minutes: float = 0, batch_size: int | None = None) -> dict[str, int] | State[Any]:
    """Bring all layers up to date, or keep them up to date for some minutes.

    In a loop a batch needs no flow run of its own. The run ends when its time is over, or when the next run requests
    the home, which continues within a second. It pauses while flows such as `verify-promises` use the home.

    Args:
        minutes: loop for at most this long; 0: once, until the log has nothing new
        batch_size: most records per topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    settings = load_settings(batch_size=batch_size)
    try:
        if minutes > 0:
            topics = await continuous.run(settings, minutes * 60)
        else:
            async with exclusive_home(settings.home):
                read = await layers.bronze(batch_size)
                processed = await layers.silver(batch_size)
                await layers.gold()
            topics = artifacts.combine([read.topics, processed.topics])
    except AlreadyRunningError as error:
        return skipped(error)
    if await continuous.is_cancelling():
        return Cancelled(message="The loop ended after a round; nothing is lost.")
    await report(topics)
    return artifacts.totals(topics)


@task(task_run_name="ledger")
async def report(topics: dict[str, TopicReport]) -> None:
    """Show the records of the run by topic and verdict."""
    await artifacts.show_ledger(topics)


if __name__ == "__main__":
    print(asyncio.run(micro_batch()))  # noqa: T201
