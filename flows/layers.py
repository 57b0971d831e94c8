"""One task per layer. Only RetryableErrors are retried; other errors fail at once and say what to do."""

import threading
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.tasks import Task

from animeverse.services.run import run_layers
from flows.execution import in_thread
from pipelines.config.settings import load_settings
from pipelines.errors import RetryableError
from pipelines.microbatch.report import Progress, RunReport


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether the task failed with a RetryableError."""
    try:
        state.result()
    except RetryableError:
        return True
    except Exception:
        return False
    return False


RETRIES: dict[str, Any] = {"retries": 3, "retry_delay_seconds": [1, 5, 15], "retry_condition_fn": is_retryable}


async def run_layer(layer: str, batch_size: int | None) -> RunReport:
    """Run one layer until it has caught up, and log the result."""
    logger = get_run_logger()
    settings = load_settings(batch_size=batch_size)

    def log_note(progress: Progress) -> None:
        if progress.note is not None:
            logger.warning(progress.note)

    def work(stop: threading.Event) -> RunReport:
        return run_layers(settings, (layer,), follow=False, stop=stop, progress=log_note)

    report = await in_thread(work)
    seconds = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in report.seconds.items())
    logger.info("%s: %d records read, %d refreshes (%s)", layer, report.polled, report.refreshes, seconds or "idle")
    return report


@task(**RETRIES, task_run_name="bronze")
async def bronze(batch_size: int | None = None) -> RunReport:
    """Read the log and landing files into bronze."""
    return await run_layer("bronze", batch_size)


@task(**RETRIES, task_run_name="silver")
async def silver(batch_size: int | None = None) -> RunReport:
    """Process bronze into silver."""
    return await run_layer("silver", batch_size)


@task(**RETRIES, task_run_name="gold")
async def gold() -> RunReport:
    """Refresh gold from silver and publish it."""
    return await run_layer("gold", None)
