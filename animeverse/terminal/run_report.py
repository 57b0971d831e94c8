"""Shows what a run did."""

from dataclasses import asdict
from typing import Any

from animeverse.terminal import console
from animeverse.terminal.progress import Bars
from pipelines.microbatch.report import Progress, RunReport

HEADS = ("topic", "records", "on time", "late", "duplicates", "quarantined")


def show(shown: Bars, progress: Progress) -> None:
    """One word of progress: a note as a line, the rest in the layer's bar."""
    if progress.note is not None:
        shown.say(progress.note)
    else:
        shown.update(progress.layer, progress.done, progress.total)


def as_json(report: RunReport, took: float) -> dict[str, Any]:
    """The report for programs."""
    return {
        "records": report.polled,
        "rounds": report.rounds,
        "refreshes": report.refreshes,
        "seconds": round(took, 3),
        "seconds_by_step": {step: round(spent, 3) for step, spent in report.seconds.items()},
        "topics": {topic: asdict(counts) for topic, counts in report.topics.items()},
    }


def print_report(report: RunReport, took: float) -> None:
    """What was done, by topic, and why records were quarantined; on stdout."""
    rows = [row for row in topic_rows(report) if row[1] != "0"]
    if rows:
        console.put(console.table(HEADS, rows, right=range(1, 6)))
        reasons = reason_counts(report)
        if reasons:
            console.put("\nquarantined because of " + ", ".join(f"{name} {rows:,}" for name, rows in reasons))
    rate = f", {report.polled / took:,.0f} a second" if report.polled else ""
    steps = ", ".join(f"{step} {console.seconds(spent)}" for step, spent in report.seconds.items())
    console.put(
        f"{console.count(report.polled)} records in {console.seconds(took)}{rate}" + (f" ({steps})" if steps else "")
    )


def topic_rows(report: RunReport) -> list[tuple[str, ...]]:
    """One row a topic, the sum last."""
    counts = {
        topic: (of.polled, of.accepted_on_time, of.accepted_late, of.duplicates, of.quarantined)
        for topic, of in report.topics.items()
    }
    total = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    return [(topic, *map(console.count, numbers)) for topic, numbers in [*counts.items(), ("all", total)]]


def reason_counts(report: RunReport) -> list[tuple[str, int]]:
    """Rules that quarantined records, the busiest first. A record may have broken several."""
    found: dict[str, int] = {}
    for counts in report.topics.values():
        for reason, rows in counts.reasons.items():
            found[reason] = found.get(reason, 0) + rows
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))
