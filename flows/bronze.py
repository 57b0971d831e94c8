"""Log to bronze: `python -m flows.bronze`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="bronze")
async def bronze(batch_size: int | None = None) -> int:
    """Log to bronze until it has caught up; how many records it handled.

    Args:
        batch_size: most records a topic in a micro-batch (default: ANIMEVERSE_BATCH_SIZE)
    """
    return (await layers.bronze(batch_size)).records


if __name__ == "__main__":
    print(asyncio.run(bronze()))  # noqa: T201
