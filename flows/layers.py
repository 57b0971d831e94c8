"""One task a layer. Only what a retry may mend is retried; all else fails at once, saying what to do."""

import threading
from contextlib import nullcontext
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.tasks import Task

from animeverse.services.run import gold_writer
from flows.execution import in_thread
from pipelines.clock import utc_now
from pipelines.config.settings import load_settings
from pipelines.errors import RetryableError
from pipelines.microbatch.loop import run
from pipelines.microbatch.report import Progress, RunReport


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the task failed of something that the next try may find mended."""
    try:
        state.result()
    except RetryableError:
        return True
    except Exception:
        return False
    return False


RETRIES: dict[str, Any] = {"retries": 3, "retry_delay_seconds": [1, 5, 15], "retry_condition_fn": is_retryable}


async def run_layer(layer: str, batch_size: int | None) -> RunReport:
    """Run one layer until it has caught up, and log what it did."""
    logger = get_run_logger()
    settings = load_settings(batch_size=batch_size)

    def told(progress: Progress) -> None:
        if progress.note is not None:
            logger.warning(progress.note)

    def work(stop: threading.Event) -> RunReport:
        with gold_writer(settings) if layer == "gold" else nullcontext() as gold:
            return run(settings, (layer,), follow=False, gold=gold, clock=utc_now, progress=told, stop=stop)

    report = await in_thread(work)
    seconds = ", ".join(f"{step} {spent:.2f} s" for step, spent in report.seconds.items())
    logger.info("%s: %d records read, %d refreshes (%s)", layer, report.polled, report.refreshes, seconds or "idle")
    return report


@task(**RETRIES, task_run_name="bronze")
async def bronze(batch_size: int | None = None) -> RunReport:
    """Log and landing files to bronze."""
    return await run_layer("bronze", batch_size)


@task(**RETRIES, task_run_name="silver")
async def silver(batch_size: int | None = None) -> RunReport:
    """Bronze to silver."""
    return await run_layer("silver", batch_size)


@task(**RETRIES, task_run_name="gold")
async def gold() -> RunReport:
    """Silver to gold, published."""
    return await run_layer("gold", None)
