"""Log to bronze: `python -m flows.bronze`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="bronze")
async def bronze(batch_size: int | None = None) -> int:
    """Read the log into bronze until it has caught up, and return the number of records.

    Args:
        batch_size: most records per topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    return (await layers.bronze(batch_size)).records


if __name__ == "__main__":
    print(asyncio.run(bronze()))  # noqa: T201
