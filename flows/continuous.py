"""The loop as a flow run shows it: a task a layer, a bar while it catches up, an event while it is fresh."""

import asyncio
import time
from typing import Any

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.events import emit_event

from animeverse.services.loop import Loop
from flows import artifacts as story
from flows.execution import in_thread
from pipelines.config.settings import Settings
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.report import LAYERS, TopicReport

LAKEHOUSE = {"prefect.resource.id": "animeverse.lakehouse", "prefect.resource.name": "AnimeVerse lakehouse"}
FRESH = "animeverse.freshness.kept"
_LOG_EVERY, _BAR_EVERY, _EVENT_EVERY, _ASK_EVERY = 30.0, 5.0, 15.0, 10.0  # seconds


async def run(settings: Settings, seconds: float) -> dict[str, TopicReport]:
    """Loop for so long; what became of the records of each topic."""
    logger = get_run_logger()
    loop = Loop(settings, seconds, logger.warning)
    working = asyncio.ensure_future(in_thread(loop.work))
    target = settings.freshness_target.total_seconds()
    looking: list[Any] = [tell(loop, working, target), *(watch(layer, loop, working) for layer in LAYERS)]
    others = [asyncio.ensure_future(one) for one in looking]
    try:
        ended = await working
    finally:
        working.cancel()  # where this run was
        await asyncio.gather(*others, return_exceptions=True)
    logger.info("The loop ended: %s", ended)
    return story.add_up(report.topics for report in loop.reports)


@task(task_run_name="{layer}", cache_policy=NO_CACHE)
async def watch(layer: str, loop: Loop, working: "asyncio.Future[Any]") -> int:
    """One layer of the loop: the records, or refreshes, that went through it."""
    logger, told, unit = get_run_logger(), 0, "refreshes" if layer == "gold" else "records"
    while not (await asyncio.wait([working], timeout=_LOG_EVERY))[0]:
        if loop.done[layer] != told:
            logger.info(
                "%s: %d %s, %d of them since the last line", layer, loop.done[layer], unit, loop.done[layer] - told
            )
            told = loop.done[layer]
    if isinstance(working.exception(), AlreadyRunningError):
        return 0  # another process does it: the run says so
    working.result()  # what stopped the loop stopped every layer
    logger.info("%s: %d %s in this run", layer, loop.done[layer], unit)
    return loop.done[layer]


async def is_cancelling() -> bool:
    """Whether somebody cancels this run. Its worker would end it at once, but it may have outlived its worker."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    async with get_client() as client:
        state = (await client.read_flow_run(context.flow_run.id)).state
    return state is not None and state.is_cancelling()


async def tell(loop: Loop, working: "asyncio.Future[Any]", target: float) -> None:
    """Show how far the loop is. Nothing that goes wrong in here reaches it: a server may be away for a while."""
    bar = story.Bar("catching-up", "Records of the backlog that have their verdict.")
    shown, emitted = 0.0, time.monotonic()
    asked = emitted
    while not (await asyncio.wait([working], timeout=1.0))[0]:
        now, percent = time.monotonic(), loop.percent()
        try:
            if percent is not None and now - shown >= _BAR_EVERY:
                shown = now
                await bar.show(percent)
            elif percent is None and shown:
                shown = 0.0
                await bar.show(100.0)
            if percent is None and now - emitted >= _EVENT_EVERY and loop.staleness() <= target:
                emitted = now
                emit_event(FRESH, resource=LAKEHOUSE, payload={"home": str(loop.home), "target_seconds": target})
            if now - asked >= _ASK_EVERY:
                asked = now
                if await is_cancelling():
                    loop.end()
        except Exception as error:
            get_run_logger().warning("Prefect's server did not take what there is to show: %s", error)
