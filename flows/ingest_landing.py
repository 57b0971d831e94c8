"""Files of `landing/` to bronze and silver: `python -m flows.ingest_landing`."""

import asyncio
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import artifacts, layers
from flows.execution import exclusive_home, skipped
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError


@flow(name="ingest-landing")
async def ingest_landing(batch_size: int | None = None) -> dict[str, int] | State[Any]:
    """Ingest the complete files of `landing/<topic>/`, each once, and new records of the log, up to silver.

    `micro-batch` does the same while it loops. This flow is for homes that are fed by files only.

    Args:
        batch_size: most records per topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    try:
        async with exclusive_home(load_settings().home):
            read = await layers.bronze(batch_size)
            processed = await layers.silver(batch_size)
    except AlreadyRunningError as error:
        return skipped(error)
    topics = artifacts.combine([read.topics, processed.topics])
    await artifacts.show_ledger(topics)
    return artifacts.totals(topics)


if __name__ == "__main__":
    print(asyncio.run(ingest_landing()))  # noqa: T201
