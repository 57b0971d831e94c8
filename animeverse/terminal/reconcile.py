"""Prints a reconciliation."""

import itertools
from collections.abc import Iterator
from datetime import date

from animeverse.services.reconcile import Change, Reconciliation
from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.operations.record_counts import RecordCounts, TopicReconciliation

_MAX_DAYS = 14
_HEADS = ("topic", "log", "bronze", "on time", "late", "duplicates", "quarantined", "waiting", "")
_DAY_HEADS = ("arrived on", "topic", "received", "on time", "late", "duplicates", "quarantined", "because of")
_MAIN_KPIS = {"net_sales_amount": "net sales", "admissions": "admissions"}
_OTHER_KPIS = {  # printed when no main KPI of the day changed
    "units": "units",
    "orders": "orders",
    "gross_margin_amount": "gross margin",
    "ticket_revenue_amount": "ticket revenue",
    "concession_amount": "concessions",
}
_CAUSES = {
    "late": "late event{s}",
    "on_time": "event{s} of a partition that had been idle",
    "master_data": "changes of master data",
}


def print_reconciliation(reconciliation: Reconciliation) -> None:
    """Print the conservation law by topic, the last days' records, releases, and changed days, on stdout."""
    rows = [
        (
            topic.topic,
            "?" if topic.log is None else console.count(topic.log),
            *_counts(topic.tally),
            console.count(topic.tally.waiting) if topic.tally.waiting else "",
            "does not add up" if topic.faults else "adds up",
        )
        for topic in reconciliation.topics
    ]
    console.put(console.table(_HEADS, rows, right=range(1, 8)))
    console.put("\nlog = bronze = on time + late + duplicates + quarantined")
    for topic in reconciliation.topics:
        for fault in topic.faults:
            console.put(f"[red]{topic.topic}: {escape(fault)}[/red]")
    _print_days(reconciliation.topics)
    for line in _releases(reconciliation.topics):
        console.put(line)
    if not reconciliation.late:
        console.put("\nno late event changed a day")
    _print_changes("What late data changed", reconciliation.late)
    _print_changes("What else changed days that had ended", reconciliation.other)


def _counts(counts: RecordCounts) -> list[str]:
    numbers = (counts.received, counts.on_time, counts.late, counts.duplicates, counts.quarantined)
    return [console.count(number) for number in numbers]


def _print_days(topics: list[TopicReconciliation]) -> None:
    days = sorted({day for topic in topics for day in topic.days})
    if not days:
        return
    last = days[-_MAX_DAYS:]
    console.put(f"\n[bold]By day of arrival[/bold] [dim](the last {len(last)} of {len(days)} days)[/dim]")
    rows = [
        (day, topic.topic, *_counts(counts), _reasons(counts))
        for day in last
        for topic in topics
        if (counts := topic.days.get(day)) is not None
    ]
    console.put(console.table(_DAY_HEADS, rows, right=range(2, 7)))
    by_event_day: dict[date, RecordCounts] = {}
    for topic in topics:
        for day, counts in topic.events.items():
            by_event_day.setdefault(day, RecordCounts()).add(counts)
    last = sorted(by_event_day)[-_MAX_DAYS:]
    console.put(
        f"\n[bold]Accepted, by day of event[/bold] [dim](the last {len(last)} of {len(by_event_day)} days)[/dim]"
    )
    accepted = [(day, console.count(by_event_day[day].on_time), console.count(by_event_day[day].late)) for day in last]
    console.put(console.table(("happened on", "on time", "late"), accepted, right=(1, 2)))


def _reasons(counts: RecordCounts, most: int = 4) -> str:
    reasons = sorted(counts.quarantined_by_reason.items(), key=lambda item: (-item[1], item[0]))
    more = f", {len(reasons) - most} more" if len(reasons) > most else ""
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons[:most]) + more


def _releases(topics: list[TopicReconciliation]) -> Iterator[str]:
    for topic in topics:
        if (releases := topic.releases) is not None:
            other = f", {releases.other:,} duplicates or without a verdict yet" if releases.other else ""
            yield (
                f"\n{topic.topic}: of {releases.released:,} released from quarantine {releases.accepted:,} accepted, "
                f"{releases.quarantined_again:,} quarantined again{other}"
            )


def _print_changes(head: str, changes: list[Change]) -> None:
    days = sorted({change.date for change in changes})
    if not days:
        return
    last = days[-_MAX_DAYS:]
    console.put(f"\n[bold]{head}[/bold] [dim](the last {len(last)} of {len(days)} days)[/dim]")
    shown = (change for change in changes if change.date in last)
    for _, group in itertools.groupby(shown, key=lambda change: (change.date, change.cause)):
        same_cause = list(group)
        for change in [change for change in same_cause if change.kpi in _MAIN_KPIS] or same_cause:
            console.put(_sentence(change))


def _sentence(change: Change) -> str:
    delta = change.after - change.before
    share = f" ({delta / abs(change.before) * 100:+.1f} %)" if change.before else ""
    form = ",.2f" if change.kpi.endswith("_amount") else ",.0f"
    count = "" if change.cause == "master_data" else f"{change.events:,} "
    cause = count + _CAUSES[change.cause].format(s="s" * (change.events != 1))
    final = ", though the day was final" if change.was_final else ""
    day = f"{change.date:%A} {change.date.day} {change.date:%B %Y}"
    name = {**_MAIN_KPIS, **_OTHER_KPIS}[change.kpi]
    return f"{day}: {name} {change.before:{form}} → {change.after:{form}}{share} from {cause}{final}"
