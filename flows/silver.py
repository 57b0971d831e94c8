"""Bronze to silver: `python -m flows.silver`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="silver")
async def silver(batch_size: int | None = None) -> int:
    """Process bronze into silver until it has caught up, and return the number of records.

    Args:
        batch_size: most records per topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    return (await layers.silver(batch_size)).records


if __name__ == "__main__":
    print(asyncio.run(silver()))  # noqa: T201
