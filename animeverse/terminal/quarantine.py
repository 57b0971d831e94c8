"""How `animeverse quarantine` looks: counts by rule, whole records, what a release did or would do."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from animeverse.terminal import console
from animeverse.terminal.summary import meaning
from pipelines.bronze.record_ref import ref_text
from pipelines.clock import instant
from pipelines.quarantine.dry_run import DryRun
from pipelines.quarantine.records import QuarantinedRecord, RuleCount
from pipelines.quarantine.release import Released

_SHOWN = 300  # characters of a value in an example
_HEADS = ("topic", "rule", "records", "released", "first", "last", "such as", "because")


def rules_as_json(rules: Sequence[RuleCount]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        rule.to_dict()
        | {name: instant(at) if (at := getattr(rule, name)) else None for name in ("first_at", "last_at")}
        for rule in rules
    ]


def print_rules(rules: Sequence[RuleCount]) -> None:
    """One line a topic and rule on stdout."""
    rows = [
        (
            rule.topic,
            rule.rule,
            console.count(rule.records),
            console.count(rule.released) if rule.released else "",
            instant(rule.first_at)[:19] + "Z" if rule.first_at else "",
            instant(rule.last_at)[:19] + "Z" if rule.last_at else "",
            ref_text((rule.sample["partition"], rule.sample["offset"])),
            (rule.sample["detail"] or meaning(rule.rule))[:80],
        )
        for rule in rules
    ]
    if not rows:
        console.say("nothing of that is in quarantine")
        return
    console.put(console.table(_HEADS, rows, right=(2, 3)))


def records_as_json(records: Sequence[QuarantinedRecord]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        record.to_dict()
        | {
            "timestamp": instant(record.timestamp) if record.timestamp else None,
            "quarantined_at": instant(record.quarantined_at),
        }
        for record in records
    ]


def print_records(records: Sequence[QuarantinedRecord], count: int) -> None:
    """Each record whole on stdout; on stderr how many more there are."""
    for record in records:
        console.put(f"[bold]{record.topic} {record.partition}/{record.offset}[/bold]  {', '.join(record.reasons)}")
        rows = [
            ("because", record.detail or ""),
            ("event_id", record.event_id or ""),
            ("timestamp", instant(record.timestamp) if record.timestamp else "none"),
            ("quarantined", instant(record.quarantined_at)),
            ("key", _text(record.key)),
            *((f"header {name}", _text(value)) for name, value in record.headers),
            ("value", _text(record.value)),
        ]
        if record.origin is not None:
            rows.append(("released from", ref_text(record.origin)))
        rows += [("released as", ref_text(copy)) for copy in record.released_as]
        console.put(console.table(("", ""), rows))
    if count > len(records):
        console.say(f"{len(records):,} of {count:,} records; --limit shows more")
    elif not count:
        console.say("nothing of that is in quarantine")


def _text(value: bytes | None) -> str:
    return "null" if value is None else value.decode(errors="backslashreplace")


def print_released(done: Released) -> None:
    """What a release did, on stdout."""
    on = ": `animeverse run` takes them on" if done.copies else ""
    console.put(f"released {_records(len(done.copies))} of {done.topic}{on}")
    for line in _others(done.already, done.left):
        console.put(line)


def print_dry_run(found: DryRun) -> None:
    """What a release would do, with a few records before and after, on stdout."""
    total = found.would_pass + found.duplicates + found.again
    console.put(f"{found.would_pass:,} of {total:,} records of {found.topic} would pass; nothing was released")
    if found.duplicates:
        console.put(f"{found.duplicates:,} would be duplicates of events that are there")
    if found.again:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in found.reasons.items())
        console.put(f"{found.again:,} would be quarantined again: {reasons}")
    for line in _others(found.already, found.left):
        console.put(line)
    for example in found.examples:
        detail = f" ({example.detail})" if example.detail else ""
        console.put(f"\n[bold]{ref_text(example.place)}[/bold]  {escape(example.verdict + detail)}")
        if example.before == example.after:
            console.put(f"  as it is  {escape(_text(example.after)[:_SHOWN])}")
        else:
            console.put(f"  before    {escape(_text(example.before)[:_SHOWN])}")
            console.put(f"  after     {escape(_text(example.after)[:_SHOWN])}")


def _others(already: int, left: int) -> list[str]:
    found = [f"{_records(already)} before: released, or tried with the same"] if already else []
    return found + ([f"{_records(left)} for which the fix gives null: not touched"] if left else [])


def _records(count: int) -> str:
    return f"{count:,} record{'s' * (count != 1)}"
