"""Log to bronze to silver to gold: `python -m flows.micro_batch` once; a deployment in a loop inside one flow run."""

import asyncio
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from flows import artifacts as story
from flows import continuous as looping
from flows import layers
from flows.execution import guest, skipped
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.report import TopicReport


@flow(name="micro-batch")
async def micro_batch(minutes: float = 0, batch_size: int | None = None) -> dict[str, int] | State[Any]:
    """Bring all layers up to date, or keep them so for some minutes.

    In a loop a batch costs no flow run. The run ends when its time is over, or as soon as the next one is at the door,
    which goes on within a second; it steps aside for `verify-promises` and the like.

    Args:
        minutes: keep going for at most so long; 0: until the log has nothing new
        batch_size: most records a topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    settings = load_settings(batch_size=batch_size)
    try:
        if minutes > 0:
            topics = await looping.run(settings, minutes * 60)
        else:
            async with guest(settings.home):
                read = await layers.bronze(batch_size)
                judged = await layers.silver(batch_size)
                await layers.gold()
            topics = story.add_up([read.topics, judged.topics])
    except AlreadyRunningError as error:
        return skipped(error)
    if await looping.is_cancelling():
        return Cancelled(message="It ended after a round; nothing is lost.")
    await report(topics)
    return story.sums(topics)


@task(task_run_name="ledger")
async def report(topics: dict[str, TopicReport]) -> None:
    """Show what became of every record."""
    await story.ledger(topics)


if __name__ == "__main__":
    print(asyncio.run(micro_batch()))  # noqa: T201
