"""Work of the packages in a thread, so that the flow run stays able to hear; and the home's doors for flows."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed

from animeverse.services.loop import PATIENCE
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.handover import exclusive_access

T = TypeVar("T")
_LOOK_EVERY = 1.0


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """`work(stop)` in a thread. A run that is cancelled or suspended sets `stop`; the thread ends between two steps."""
    stop = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        while not (await asyncio.wait([working], timeout=_LOOK_EVERY))[0]:
            if is_suspended():
                stop.set()
        return working.result()
    finally:
        stop.set()


def is_suspended() -> bool:
    """Whether somebody asked this flow run to pause: Prefect itself stops it where its next task would begin."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run_suspension_request.is_requested()


@asynccontextmanager
async def guest(home: Path) -> AsyncIterator[None]:
    """The home to ourselves: `micro-batch` waits meanwhile. Raises AlreadyRunningError naming who does not."""
    stop = threading.Event()
    with ExitStack() as door:
        try:
            await asyncio.to_thread(lambda: door.enter_context(exclusive_access(home, timeout=PATIENCE, stop=stop)))
            yield
        finally:
            stop.set()


def skipped(error: AlreadyRunningError) -> State[Any]:
    """The end of a run that had nothing to do because another process does it: no failure, and not silent."""
    get_run_logger().warning("Skipped: %s", error)
    return Completed(name="Skipped", message=str(error))
