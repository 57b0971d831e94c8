"""Generated live events of the shop and the cinema: `python -m flows.produce_world`."""

import asyncio
import secrets
import threading

from prefect import flow, get_run_logger, task

from animeverse.services.produce import Request, Sent, send_live_for
from flows.execution import in_thread
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from producers.data_faults import DataFaults


@flow(name="produce-world")
async def produce_world(rate: float = 100.0, minutes: float = 5.0, seed: int | None = None, clean: bool = False) -> int:
    """Send generated live events with data faults to the log, and return the number of acknowledged records.

    Args:
        rate: events per second
        minutes: duration
        seed: the same seed generates the same events; default: random
        clean: send no data faults
    """
    return await produce(rate, minutes * 60, secrets.randbelow(1_000_000) if seed is None else seed, clean)


@task(**RETRIES, task_run_name="produce")
async def produce(rate: float, seconds: float, seed: int, clean: bool) -> int:
    """Send events of all topics and return the number of acknowledged records."""
    settings, logger = load_settings(), get_run_logger()
    logger.info("seed %d, %g events a second for %g s", seed, rate, seconds)
    request = Request(TOPICS, rate=rate, seed=seed, faults=DataFaults.none() if clean else DataFaults())

    def work(stop: threading.Event) -> Sent:
        return send_live_for(settings, request, seconds, stop)

    sent = await in_thread(work)
    logger.info("%d records sent", sent.records)
    return sent.records


if __name__ == "__main__":
    print(asyncio.run(produce_world()))  # noqa: T201
