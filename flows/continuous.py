"""The continuous loop in a flow run: a task per layer, a bar while it catches up, events while gold is fresh."""

import asyncio
import time
from typing import Any

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.events import emit_event

from animeverse.services.loop import Loop
from flows import artifacts
from flows.execution import in_thread
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.report import LAYERS, TopicReport

LAKEHOUSE = {"prefect.resource.id": "animeverse.lakehouse", "prefect.resource.name": "AnimeVerse lakehouse"}
FRESH = "animeverse.freshness.kept"
_LOG_INTERVAL, _BAR_INTERVAL, _EVENT_INTERVAL, _CANCEL_INTERVAL = 30.0, 5.0, 15.0, 10.0  # seconds


async def run(settings: Settings, seconds: float) -> dict[str, TopicReport]:
    """Run the loop for some seconds and return the counts by topic."""
    logger = get_run_logger()
    loop = Loop(settings, seconds, logger.warning)
    working = asyncio.ensure_future(in_thread(loop.work))
    target = settings.freshness_target.total_seconds()
    coroutines: list[Any] = [observe(loop, working, target), *(log_layer(layer, loop, working) for layer in LAYERS)]
    observers = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        ended = await working
    finally:
        working.cancel()  # when this run was cancelled
        await asyncio.gather(*observers, return_exceptions=True)
    logger.info("The loop ended: %s", ended)
    return artifacts.combine(report.topics for report in loop.reports)


@task(task_run_name="{layer}", cache_policy=NO_CACHE)
async def log_layer(layer: str, loop: Loop, working: "asyncio.Future[Any]") -> int:
    """Log the records, or refreshes, of one layer while the loop runs, and return their number."""
    logger, logged, unit = get_run_logger(), 0, "refreshes" if layer == "gold" else "records"
    while not (await asyncio.wait([working], timeout=_LOG_INTERVAL))[0]:
        done = loop.done[layer]
        if done != logged:
            logger.info("%s: %d %s, %d of them since the last line", layer, done, unit, done - logged)
            logged = done
    if isinstance(working.exception(), AlreadyRunningError):
        return 0  # another process does the work, as the state of the run says
    working.result()  # an error of the loop fails the task of every layer
    logger.info("%s: %d %s in this run", layer, loop.done[layer], unit)
    return loop.done[layer]


async def is_cancelling() -> bool:
    """Return whether this run is being cancelled. A run whose worker has ended must ask, because nothing stops it."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    async with get_client() as client:
        state = (await client.read_flow_run(context.flow_run.id)).state
    return state is not None and state.is_cancelling()


async def observe(loop: Loop, working: "asyncio.Future[Any]", target: float) -> None:
    """Show the progress, emit freshness events, and end a cancelled loop.

    Errors are logged and never reach the loop, because the server may be away for a while. `target` is the freshness
    target in seconds.
    """
    bar = artifacts.ProgressBar("catching-up", "Records of the backlog that have a verdict.")
    shown_at, emitted_at = 0.0, time.monotonic()
    asked_at = emitted_at
    while not (await asyncio.wait([working], timeout=1.0))[0]:
        now, percent = time.monotonic(), loop.percent()
        try:
            if percent is not None and now - shown_at >= _BAR_INTERVAL:
                shown_at = now
                await bar.show(percent)
            elif percent is None and shown_at:
                shown_at = 0.0
                await bar.show(100.0)
            if percent is None and now - emitted_at >= _EVENT_INTERVAL and loop.staleness() <= target:
                emitted_at = now
                emit_event(FRESH, resource=LAKEHOUSE, payload={"home": str(loop.home), "target_seconds": target})
            if now - asked_at >= _CANCEL_INTERVAL:
                asked_at = now
                if await is_cancelling():
                    loop.end()
        except Exception as error:
            get_run_logger().warning("The Prefect server did not accept the progress: %s", error)
