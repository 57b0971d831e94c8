"""Prints quarantined records: counts by rule, full records, and the result of a release or dry run."""

from collections.abc import Sequence
from typing import Any

from animeverse.terminal import console
from animeverse.terminal.console import escape
from animeverse.terminal.summary import rule_meaning
from pipelines.bronze.record_ref import ref_text
from pipelines.clock import instant
from pipelines.quarantine.dry_run import DryRun
from pipelines.quarantine.records import QuarantinedRecord, RuleCount
from pipelines.quarantine.release import Released

_MAX_VALUE = 300  # characters of a value in an example
_HEADS = ("topic", "rule", "records", "released", "first", "last", "such as", "because")
_NONE = "no quarantined record matches"


def rules_to_json(rules: Sequence[RuleCount]) -> list[dict[str, Any]]:
    """Return the counts for JSON."""
    return [
        rule.to_dict()
        | {name: instant(at) if (at := getattr(rule, name)) else None for name in ("first_at", "last_at")}
        for rule in rules
    ]


def print_rules(rules: Sequence[RuleCount]) -> None:
    """Print one line per topic and rule on stdout."""
    rows = [
        (
            rule.topic,
            rule.rule,
            console.count(rule.records),
            console.count(rule.released) if rule.released else "",
            instant(rule.first_at)[:19] + "Z" if rule.first_at else "",
            instant(rule.last_at)[:19] + "Z" if rule.last_at else "",
            ref_text((rule.sample["partition"], rule.sample["offset"])),
            (rule.sample["detail"] or rule_meaning(rule.rule))[:80],
        )
        for rule in rules
    ]
    if not rows:
        console.say(_NONE)
        return
    console.put(console.table(_HEADS, rows, right=(2, 3)))


def records_to_json(records: Sequence[QuarantinedRecord]) -> list[dict[str, Any]]:
    """Return the records for JSON."""
    return [
        record.to_dict()
        | {
            "timestamp": instant(record.timestamp) if record.timestamp else None,
            "quarantined_at": instant(record.quarantined_at),
        }
        for record in records
    ]


def print_records(records: Sequence[QuarantinedRecord], count: int) -> None:
    """Print full records on stdout; on stderr, say how many of `count` are shown."""
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
        console.say(_NONE)


def _text(value: bytes | None) -> str:
    return "null" if value is None else value.decode(errors="backslashreplace")


def print_released(released: Released) -> None:
    """Print what a release did on stdout."""
    next_step = ": `animeverse run` processes them" if released.copies else ""
    console.put(f"released {_records(len(released.copies))} of {released.topic}{next_step}")
    for line in _skipped(released.already, released.left):
        console.put(line)


def print_dry_run(result: DryRun) -> None:
    """Print what a release would do on stdout, with a few records before and after the fix."""
    total = result.would_pass + result.duplicates + result.again
    console.put(f"{result.would_pass:,} of {total:,} records of {result.topic} would pass; nothing was released")
    if result.duplicates:
        console.put(f"{result.duplicates:,} would be duplicates of accepted events")
    if result.again:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in result.reasons.items())
        console.put(f"{result.again:,} would be quarantined again: {reasons}")
    for line in _skipped(result.already, result.left):
        console.put(line)
    for example in result.examples:
        detail = f" ({example.detail})" if example.detail else ""
        console.put(f"\n[bold]{ref_text(example.place)}[/bold]  {escape(example.verdict + detail)}")
        if example.before == example.after:
            console.put(f"  unchanged {escape(_text(example.after)[:_MAX_VALUE])}")
        else:
            console.put(f"  before    {escape(_text(example.before)[:_MAX_VALUE])}")
            console.put(f"  after     {escape(_text(example.after)[:_MAX_VALUE])}")


def _skipped(already: int, left: int) -> list[str]:
    lines = [f"{_records(already)} skipped: already released, or already tried with the same fix"] if already else []
    return lines + ([f"{_records(left)} skipped: the fix returns null"] if left else [])


def _records(count: int) -> str:
    return f"{count:,} record{'s' * (count != 1)}"
