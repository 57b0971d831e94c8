"""Silver to gold, published: `python -m flows.gold`."""

import asyncio

from prefect import flow

from flows import layers


@flow(name="refresh-gold")
async def gold() -> int:
    """Refresh gold with what silver has got; the number of refreshes (0: it was up to date)."""
    return (await layers.gold()).refreshes


if __name__ == "__main__":
    print(asyncio.run(gold()))  # noqa: T201
