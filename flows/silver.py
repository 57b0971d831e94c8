"""Bronze to silver: `python -m flows.silver`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="silver")
async def silver(batch_size: int | None = None) -> int:
    """Bronze to silver until it has caught up; how many records it handled.

    Args:
        batch_size: most records a topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    return (await layers.silver(batch_size)).records


if __name__ == "__main__":
    print(asyncio.run(silver()))  # noqa: T201
