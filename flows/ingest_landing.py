"""Files dropped in `landing/` to bronze, then on to gold: `python -m flows.ingest_landing`."""

import asyncio
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import artifacts as story
from flows import layers
from flows.execution import guest, skipped
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError


@flow(name="ingest-landing")
async def ingest_landing(batch_size: int | None = None) -> dict[str, int] | State[Any]:
    """Take what has settled in `landing/<topic>/`, each file once and whole, and what the log has got, to silver.

    `micro-batch` does it by itself while it loops; this is for homes that are fed by files alone.

    Args:
        batch_size: most records a topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    try:
        async with guest(load_settings().home):
            read = await layers.bronze(batch_size)
            judged = await layers.silver(batch_size)
    except AlreadyRunningError as error:
        return skipped(error)
    topics = story.add_up([read.topics, judged.topics])
    await story.ledger(topics)
    return story.sums(topics)


if __name__ == "__main__":
    print(asyncio.run(ingest_landing()))  # noqa: T201
