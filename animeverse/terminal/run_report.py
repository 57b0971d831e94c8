"""Prints what a run did."""

from dataclasses import asdict
from typing import Any

from animeverse.terminal import console
from pipelines.microbatch.report import RunReport

_HEADS = ("topic", "records", "on time", "late", "duplicates", "quarantined")


def to_json(report: RunReport, seconds: float) -> dict[str, Any]:
    """Return the report and the elapsed seconds for JSON."""
    return {
        "records": report.polled,
        "rounds": report.rounds,
        "refreshes": report.refreshes,
        "seconds": round(seconds, 3),
        "seconds_by_step": {step: round(step_seconds, 3) for step, step_seconds in report.seconds.items()},
        "topics": {topic: asdict(counts) for topic, counts in report.topics.items()},
    }


def print_run(report: RunReport, seconds: float) -> None:
    """Print the records by topic and verdict, and the quarantine reasons, on stdout."""
    rows = [row for row in _topic_rows(report) if row[1] != "0"]
    if rows:
        console.put(console.table(_HEADS, rows, right=range(1, 6)))
        reasons = _reason_counts(report)
        if reasons:
            console.put("\nquarantined because of " + ", ".join(f"{name} {count:,}" for name, count in reasons))
    rate = f", {report.polled / seconds:,.0f} a second" if report.polled else ""
    steps = ", ".join(f"{step} {console.seconds(step_seconds)}" for step, step_seconds in report.seconds.items())
    total = f"{console.count(report.polled)} records in {console.seconds(seconds)}{rate}"
    console.put(total + (f" ({steps})" if steps else ""))


def _topic_rows(report: RunReport) -> list[tuple[str, ...]]:
    """Return one row per topic, and the sum as the last row."""
    counts = {
        topic: (part.polled, part.accepted_on_time, part.accepted_late, part.duplicates, part.quarantined)
        for topic, part in report.topics.items()
    }
    total = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    return [(topic, *map(console.count, numbers)) for topic, numbers in [*counts.items(), ("all", total)]]


def _reason_counts(report: RunReport) -> list[tuple[str, int]]:
    """Return the records by quarantine reason, most frequent first. A record may have several reasons."""
    totals: dict[str, int] = {}
    for part in report.topics.values():
        for reason, count in part.reasons.items():
            totals[reason] = totals.get(reason, 0) + count
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))
