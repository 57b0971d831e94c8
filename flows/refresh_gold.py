"""Silver to gold, published: `python -m flows.refresh_gold`."""

import asyncio
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import layers
from flows.execution import exclusive_home, skipped
from pipelines.config.settings import load_settings
from pipelines.errors import AlreadyRunningError


@flow(name="refresh-gold")
async def refresh_gold() -> int | State[Any]:
    """Refresh gold from silver, publish it, and return the number of refreshes (0: gold was up to date)."""
    try:
        async with exclusive_home(load_settings().home):
            return (await layers.gold()).refreshes
    except AlreadyRunningError as error:
        return skipped(error)


if __name__ == "__main__":
    print(asyncio.run(refresh_gold()))  # noqa: T201
