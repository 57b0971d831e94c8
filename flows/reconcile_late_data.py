"""What became of every record, and what late data changed: `python -m flows.reconcile_late_data`."""

import asyncio
from typing import Any

from prefect import flow, get_run_logger, task

from animeverse.services.reconcile import Change, Reconciliation, reconcile
from flows import artifacts as story
from flows.execution import in_thread
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import CheckFailedError

_SHOWN = 500  # restatements
_LAW = ("topic", "log", "bronze", "on time", "late", "duplicates", "quarantined", "waiting", "off")
_COUNTS = ("received", "on_time", "late", "duplicates", "quarantined", "waiting")
_CHANGES = ("day", "KPI", "cause", "without it", "now", "events", "day was final")


@flow(name="reconcile-late-data")
async def reconcile_late_data() -> int:
    """The conservation law by topic, then the days and KPIs that late data, and anything else, restated; how many by
    late data. Reads only.

    Fails when something does not add up.
    """
    found = await recount()
    law = [
        (of.topic, of.log, *(getattr(of.tally, name) for name in _COUNTS), "; ".join(of.faults)) for of in found.topics
    ]
    late, other = ([_row(one) for one in changes[-_SHOWN:]] for changes in (found.late, found.other))
    await story.text(
        "reconciliation", story.table(_LAW, law), "log = bronze = on time + late + duplicates + quarantined"
    )
    await story.text("late-data", story.table(_CHANGES, late), f"What late data changed: {len(found.late)} values.")
    told = f"What else changed days that had ended: {len(found.other)} values."
    await story.text("ended-days", story.table(_CHANGES, other), told)
    faults = [f"{topic.topic}: {fault}" for topic in found.topics for fault in topic.faults]
    if faults:
        raise CheckFailedError(
            "Something does not add up; `animeverse verify` names the offsets:\n" + "\n".join(faults)
        )
    return len(found.late)


def _row(one: Change) -> tuple[Any, ...]:
    return (one.date, one.kpi, one.cause, one.before, one.after, one.events, "yes" if one.was_final else "")


@task(**RETRIES, task_run_name="reconcile")
async def recount() -> Reconciliation:
    """Count everything again."""
    settings = load_settings()
    found = await in_thread(lambda _stop: reconcile(settings))
    get_run_logger().info("%d topics, %d values restated by late data", len(found.topics), len(found.late))
    return found


if __name__ == "__main__":
    print(asyncio.run(reconcile_late_data()))  # noqa: T201
