"""The shop and the cinema at work, live: `python -m flows.produce_world`."""

import asyncio
import secrets
import threading
import time
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task

from flows.execution import in_thread
from flows.layers import RETRIES
from pipelines.config.log import open_log_of
from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from producers.data_faults import DataFaults
from producers.live import live
from producers.publish import publish_live


@flow(name="produce-world")
async def produce_world(rate: float = 100.0, minutes: float = 5.0, seed: int | None = None, clean: bool = False) -> int:
    """Send made-up events to the log as they would happen now, with all that goes wrong with events; how many.

    Args:
        rate: events a second
        minutes: for so long
        seed: the same makes the same world; none: by chance
        clean: nothing goes wrong
    """
    return await produce(rate, minutes * 60, secrets.randbelow(1_000_000) if seed is None else seed, clean)


@task(**RETRIES, task_run_name="produce")
async def produce(rate: float, seconds: float, seed: int, clean: bool) -> int:
    """All topics; what is counted, the log has acknowledged."""
    settings, logger = load_settings(), get_run_logger()
    logger.info("seed %d, %g events a second for %g s", seed, rate, seconds)

    def work(stop: threading.Event) -> int:
        until = time.monotonic() + seconds
        batches = live(
            seed, rate, datetime.now(UTC), faults=DataFaults.none() if clean else DataFaults(), clock=time.time
        )
        log = open_log_of(settings)
        try:
            log.ensure_topics(list(TOPICS), settings.partitions)
            return publish_live(log, batches, stop=lambda: stop.is_set() or time.monotonic() > until)
        finally:
            log.close()

    sent = await in_thread(work)
    logger.info("%d records sent", sent)
    return sent


if __name__ == "__main__":
    print(asyncio.run(produce_world()))  # noqa: T201
