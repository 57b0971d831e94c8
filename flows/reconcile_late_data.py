"""The outcome of every record, and what late data changed: `python -m flows.reconcile_late_data`."""

import asyncio
from collections.abc import Sequence

from prefect import flow, get_run_logger, task

from animeverse.services.reconcile import Change, Reconciliation, reconcile
from flows import artifacts
from flows.execution import in_thread
from flows.layers import RETRIES
from pipelines.config.settings import load_settings
from pipelines.errors import CheckFailedError

_MAX_CHANGES = 500
_LAW = ("topic", "log", "bronze", "on time", "late", "duplicates", "quarantined", "waiting", "off")
_COUNTS = ("received", "on_time", "late", "duplicates", "quarantined", "waiting")
_CHANGES = ("day", "KPI", "cause", "without it", "now", "events", "day was final")


@flow(name="reconcile-late-data")
async def reconcile_late_data() -> int:
    """Check the conservation law by topic, and show the KPIs that late data and other causes restated. Reads only.

    Returns the number of values that late data restated. Fails when the law does not hold.
    """
    reconciliation = await recount()
    law = [
        (topic.topic, topic.log, *(getattr(topic.tally, name) for name in _COUNTS), "; ".join(topic.faults))
        for topic in reconciliation.topics
    ]
    await artifacts.show_text(
        "reconciliation",
        artifacts.table(_LAW, law),
        "log = bronze = on time + late + duplicates + quarantined",
    )
    late = f"What late data changed: {len(reconciliation.late)} values."
    await artifacts.show_text("late-data", _table(reconciliation.late), late)
    other = f"What else changed days that had ended: {len(reconciliation.other)} values."
    await artifacts.show_text("ended-days", _table(reconciliation.other), other)
    faults = [f"{topic.topic}: {fault}" for topic in reconciliation.topics for fault in topic.faults]
    if faults:
        raise CheckFailedError(
            "The conservation law does not hold; `animeverse verify` names the offsets:\n" + "\n".join(faults)
        )
    return len(reconciliation.late)


def _table(changes: Sequence[Change]) -> str:
    rows = [
        (
            change.date,
            change.kpi,
            change.cause,
            change.before,
            change.after,
            change.events,
            "yes" if change.was_final else "",
        )
        for change in changes[-_MAX_CHANGES:]
    ]
    return artifacts.table(_CHANGES, rows)


@task(**RETRIES, task_run_name="reconcile")
async def recount() -> Reconciliation:
    """Count all records again."""
    settings = load_settings()
    result = await in_thread(lambda _stop: reconcile(settings))
    get_run_logger().info("%d topics, %d values restated by late data", len(result.topics), len(result.late))
    return result


if __name__ == "__main__":
    print(asyncio.run(reconcile_late_data()))  # noqa: T201
