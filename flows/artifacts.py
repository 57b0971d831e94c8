"""What a run shows in Prefect's UI: tables, text and a bar. Values come in as the packages gave them."""

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


def add_up(reports: Iterable[Mapping[str, TopicReport]]) -> dict[str, TopicReport]:
    """What several runs of the loop did, by topic."""
    total: dict[str, TopicReport] = {}
    for topics in reports:
        for topic, part in topics.items():
            of = total.setdefault(topic, TopicReport())
            for name in ("polled", "accepted_on_time", "accepted_late", "duplicates", "quarantined"):
                setattr(of, name, getattr(of, name) + getattr(part, name))
            for reason, rows in part.reasons.items():
                of.reasons[reason] = of.reasons.get(reason, 0) + rows
    return total


def sums(topics: Mapping[str, TopicReport]) -> dict[str, int]:
    """All topics together."""
    return {
        "records": sum(of.polled for of in topics.values()),
        "accepted": sum(of.accepted_on_time + of.accepted_late for of in topics.values()),
        "duplicates": sum(of.duplicates for of in topics.values()),
        "quarantined": sum(of.quarantined for of in topics.values()),
    }


async def ledger(topics: Mapping[str, TopicReport]) -> None:
    """What became of the records of this run, by topic."""
    rows = [
        {
            "topic": topic,
            "records": of.polled,
            "on time": of.accepted_on_time,
            "late": of.accepted_late,
            "duplicates": of.duplicates,
            "quarantined": of.quarantined,
            "because of": ", ".join(f"{reason} {rows}" for reason, rows in sorted(of.reasons.items())),
        }
        for topic, of in topics.items()
    ]
    await acreate_table_artifact(rows, key="ledger", description="What became of every record of this run, by topic.")


async def checks(found: Sequence[Check]) -> None:
    """The result of `verify`, failures first."""
    failed = [check for check in found if not check.ok]
    rows = [
        {"check": check.name, "holds": "yes" if check.ok else "NO", "found": check.detail}
        for check in sorted(found, key=lambda check: check.ok)
    ]
    verdict = f"{len(failed)} of {len(found)} checks failed." if failed else f"All {len(found)} checks hold."
    await acreate_table_artifact(rows, key="promises", description=verdict)


async def text(key: str, markdown: str, description: str) -> None:
    """Some Markdown."""
    await acreate_markdown_artifact(markdown, key=key, description=description)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


class Bar:
    """A progress artifact, made when there is something to show."""

    def __init__(self, key: str, description: str) -> None:
        self._key, self._description = key, description
        self._id: UUID | None = None

    async def show(self, percent: float) -> None:
        """Set it."""
        if self._id is None:
            made = await acreate_progress_artifact(percent, key=self._key, description=self._description)
            self._id = made if isinstance(made, UUID) else None
        else:
            await aupdate_progress_artifact(self._id, progress=percent)
