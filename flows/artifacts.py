"""Artifacts of a run in Prefect's UI: tables, text and a progress bar."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from pipelines.microbatch.report import TopicReport
from pipelines.operations.check import Check


def combine(reports: Iterable[Mapping[str, TopicReport]]) -> dict[str, TopicReport]:
    """Add up the counts of several runs of the loop, by topic."""
    total: dict[str, TopicReport] = {}
    for topics in reports:
        for topic, part in topics.items():
            counts = total.setdefault(topic, TopicReport())
            for name in ("polled", "accepted_on_time", "accepted_late", "duplicates", "quarantined"):
                setattr(counts, name, getattr(counts, name) + getattr(part, name))
            for reason, rows in part.reasons.items():
                counts.reasons[reason] = counts.reasons.get(reason, 0) + rows
    return total


def totals(topics: Mapping[str, TopicReport]) -> dict[str, int]:
    """Add up the counts of all topics."""
    return {
        "records": sum(counts.polled for counts in topics.values()),
        "accepted": sum(counts.accepted_on_time + counts.accepted_late for counts in topics.values()),
        "duplicates": sum(counts.duplicates for counts in topics.values()),
        "quarantined": sum(counts.quarantined for counts in topics.values()),
    }


async def show_ledger(topics: Mapping[str, TopicReport]) -> None:
    """Show the records of this run by topic and verdict."""
    rows = [
        {
            "topic": topic,
            "records": counts.polled,
            "on time": counts.accepted_on_time,
            "late": counts.accepted_late,
            "duplicates": counts.duplicates,
            "quarantined": counts.quarantined,
            "because of": ", ".join(f"{reason} {rows}" for reason, rows in sorted(counts.reasons.items())),
        }
        for topic, counts in topics.items()
    ]
    await acreate_table_artifact(rows, key="ledger", description="The records of this run by topic and verdict.")


async def show_checks(checks: Sequence[Check]) -> None:
    """Show the checks of `verify`, failures first."""
    failed = [check for check in checks if not check.ok]
    rows = [
        {"check": check.name, "holds": "yes" if check.ok else "NO", "found": check.detail}
        for check in sorted(checks, key=lambda check: check.ok)
    ]
    verdict = f"{len(failed)} of {len(checks)} checks failed." if failed else f"All {len(checks)} checks hold."
    await acreate_table_artifact(rows, key="promises", description=verdict)


async def show_text(key: str, markdown: str, description: str) -> None:
    """Show Markdown."""
    await acreate_markdown_artifact(markdown, key=key, description=description)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


class ProgressBar:
    """A progress artifact, created by the first `show`."""

    def __init__(self, key: str, description: str) -> None:
        self._key, self._description = key, description
        self._id: UUID | None = None

    async def show(self, percent: float) -> None:
        """Set the bar to a percentage."""
        if self._id is None:
            artifact = await acreate_progress_artifact(percent, key=self._key, description=self._description)
            self._id = artifact if isinstance(artifact, UUID) else None
        else:
            await aupdate_progress_artifact(self._id, progress=percent)
