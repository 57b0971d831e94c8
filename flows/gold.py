"""Silver to gold, published: `python -m flows.gold`."""

import asyncio

from flows.refresh_gold import refresh_gold as gold

if __name__ == "__main__":
    print(asyncio.run(gold()))  # noqa: T201
