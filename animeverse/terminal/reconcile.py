"""Shows a reconciliation."""

import itertools
from collections.abc import Iterator
from datetime import date

from rich.markup import escape

from animeverse.services.reconcile import _CAUSES, _KPIS, _OTHER_KPIS, Change, Reconciliation
from animeverse.terminal import console
from pipelines.operations.record_counts import RecordCounts, TopicReconciliation

_DAYS_SHOWN = 14

_HEADS = ("topic", "log", "bronze", "on time", "late", "duplicates", "quarantined", "waiting", "")

_DAY_HEADS = ("arrived on", "topic", "received", "on time", "late", "duplicates", "quarantined", "because of")


def print_reconciliation(found: Reconciliation) -> None:
    """For people, on stdout: the law by topic, the last days' arrivals, releases, the last days late data changed."""
    rows = [
        (
            one.topic,
            "?" if one.log is None else console.count(one.log),
            *_counts(one.tally),
            console.count(one.tally.waiting) if one.tally.waiting else "",
            "does not add up" if one.faults else "adds up",
        )
        for one in found.topics
    ]
    console.put(console.table(_HEADS, rows, right=range(1, 8)))
    console.put("\nlog = bronze = on time + late + duplicates + quarantined")
    for topic in found.topics:
        for fault in topic.faults:
            console.put(f"[red]{topic.topic}: {escape(fault)}[/red]")
    _print_days(found.topics)
    for line in _releases(found.topics):
        console.put(line)
    if not found.late:
        console.put("\nno late event changed a day")
    _print_changes("What late data changed", found.late)
    _print_changes("What else changed days that had ended", found.other)


def _counts(tally: RecordCounts) -> list[str]:
    numbers = (tally.received, tally.on_time, tally.late, tally.duplicates, tally.quarantined)
    return [console.count(number) for number in numbers]


def _print_days(topics: list[TopicReconciliation]) -> None:
    days = sorted({day for topic in topics for day in topic.days})
    if not days:
        return
    last = days[-_DAYS_SHOWN:]
    console.put(f"\n[bold]By day of arrival[/bold] [dim](the last {len(last)} of {len(days)} days)[/dim]")
    rows = [
        (day, topic.topic, *_counts(tally), _reasons(tally))
        for day in last
        for topic in topics
        if (tally := topic.days.get(day)) is not None
    ]
    console.put(console.table(_DAY_HEADS, rows, right=range(2, 7)))
    happened: dict[date, RecordCounts] = {}
    for topic in topics:
        for day, tally in topic.events.items():
            happened.setdefault(day, RecordCounts()).add(tally)
    last = sorted(happened)[-_DAYS_SHOWN:]
    console.put(f"\n[bold]Accepted, by day of event[/bold] [dim](the last {len(last)} of {len(happened)} days)[/dim]")
    counts = [(day, console.count(happened[day].on_time), console.count(happened[day].late)) for day in last]
    console.put(console.table(("happened on", "on time", "late"), counts, right=(1, 2)))


def _reasons(tally: RecordCounts, most: int = 4) -> str:
    found = sorted(tally.quarantined_by_reason.items(), key=lambda item: (-item[1], item[0]))
    more = f", {len(found) - most} more" if len(found) > most else ""
    return ", ".join(f"{reason} {rows:,}" for reason, rows in found[:most]) + more


def _releases(topics: list[TopicReconciliation]) -> Iterator[str]:
    for topic in topics:
        if (of := topic.releases) is not None:
            other = f", {of.other:,} duplicates or not judged yet" if of.other else ""
            yield (
                f"\n{topic.topic}: of {of.released:,} released from quarantine {of.accepted:,} accepted, "
                f"{of.quarantined_again:,} quarantined again{other}"
            )


def _print_changes(head: str, changes: list[Change]) -> None:
    days = sorted({one.date for one in changes})
    if not days:
        return
    last = days[-_DAYS_SHOWN:]
    console.put(f"\n[bold]{head}[/bold] [dim](the last {len(last)} of {len(days)} days)[/dim]")
    groups = itertools.groupby((one for one in changes if one.date in last), key=lambda one: (one.date, one.cause))
    for _, group in groups:
        together = list(group)
        for one in [one for one in together if one.kpi in _KPIS] or together:
            console.put(_sentence(one))


def _sentence(one: Change) -> str:
    share = f" ({(one.after - one.before) / abs(one.before) * 100:+.1f} %)" if one.before else ""
    form = ",.2f" if one.kpi.endswith("_amount") else ",.0f"
    count = "" if one.cause == "master_data" else f"{one.events:,} "
    why = count + _CAUSES[one.cause].format(s="s" * (one.events != 1))
    final = ", though the day was final" if one.was_final else ""
    day = f"{one.date:%A} {one.date.day} {one.date:%B %Y}"
    name = {**_KPIS, **_OTHER_KPIS}[one.kpi]
    return f"{day}: {name} {one.before:{form}} → {one.after:{form}}{share} from {why}{final}"
