"""Runs services in a thread, so that the flow run can react meanwhile, and gives flows exclusive access to the home."""

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

from animeverse.services.loop import WRITER_TIMEOUT
from pipelines.errors import AlreadyRunningError
from pipelines.microbatch.handover import exclusive_access

T = TypeVar("T")
_POLL_INTERVAL = 1.0  # seconds


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run `work(stop)` in a thread and return its result.

    A run that is cancelled or suspended sets `stop`, and the thread ends between two steps.
    """
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        while not (await asyncio.wait([running], timeout=_POLL_INTERVAL))[0]:
            if is_suspended():
                stop.set()
        return running.result()
    finally:
        stop.set()


def is_suspended() -> bool:
    """Return whether the flow run was asked to pause. Prefect itself stops a run where its next task begins."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run_suspension_request.is_requested()


@asynccontextmanager
async def exclusive_home(home: Path) -> AsyncIterator[None]:
    """Hold exclusive access to the home during the block; `micro-batch` waits meanwhile.

    Raises AlreadyRunningError with the pid of a writer that does not hand over.
    """
    stop = threading.Event()
    with ExitStack() as access:
        try:
            await asyncio.to_thread(
                lambda: access.enter_context(exclusive_access(home, timeout=WRITER_TIMEOUT, stop=stop))
            )
            yield
        finally:
            stop.set()


def skipped(error: AlreadyRunningError) -> State[Any]:
    """Return the final state of a run that did nothing because another process does the work: Completed, with a log."""
    get_run_logger().warning("Skipped: %s", error)
    return Completed(name="Skipped", message=str(error))
