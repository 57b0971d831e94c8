"""Prints the trace of an event: offset, batch, snapshot, verdict and gold rows."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from animeverse.services.trace import GoldRow
from animeverse.terminal import console
from animeverse.terminal.console import escape
from animeverse.terminal.formats import to_text
from pipelines.bronze.record_ref import ref_text
from pipelines.clock import instant
from pipelines.operations.trace import Trace, TracedRecord

_MAX_ROWS = 20  # per table: an event may have thousands of lines
_MAX_VALUE = 200  # characters
UNREADABLE_IDS = (
    "quarantined records with an unreadable event_id cannot be found by it: `animeverse quarantine list` counts them"
)


def to_json(trace: Trace, gold: list[GoldRow]) -> dict[str, Any]:
    """Return the trace for JSON; amounts are text with all digits."""
    rows = [{"table": row.table, **{name: _json_value(value) for name, value in row.values.items()}} for row in gold]
    return trace.to_dict() | {"gold": rows}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    return format(value, "f") if isinstance(value, Decimal) else value


def print_trace(trace: Trace, gold: list[GoldRow]) -> None:
    """Print the records and the gold rows on stdout, and notes on stderr."""
    for record in trace.records:
        console.put(f"[bold]{escape(record.topic)} {record.partition}/{record.offset}[/bold]  {escape(_path(record))}")
        console.put(f"  {escape(_verdict(record))}")
        for line in _releases(record):
            console.put(f"  {line}")
        if record.value is not None:
            text = record.value.decode(errors="backslashreplace")
            console.put(f"  [dim]{escape(text[:_MAX_VALUE] + ('…' if len(text) > _MAX_VALUE else ''))}[/dim]")
    for table in dict.fromkeys(row.table for row in gold):
        _print_rows(table, [row for row in gold if row.table == table])
    for topic, ref in trace.unreadable:
        console.say(f"{topic} {ref_text(ref)} contains this text, but its event_id cannot be read")
    for note in trace.notes:
        console.say(note)


def _print_rows(table: str, rows: list[GoldRow]) -> None:
    console.put(f"\n[bold]{table}[/bold]")
    columns = [name for name in rows[0].values if any(row.values[name] is not None for row in rows)]
    for row in rows[:_MAX_ROWS]:
        console.put(console.table(("column", "value"), [(name, to_text(row.values[name])) for name in columns]))
    if len(rows) > _MAX_ROWS:
        console.put(f"and {console.count(len(rows) - _MAX_ROWS)} more: --json prints all")


def _path(record: TracedRecord) -> str:
    arrived = f"arrived {instant(record.timestamp)}" if record.timestamp else "without a timestamp"
    if record.batch_id is None:
        return f"{arrived}, in the log only: `animeverse run` processes it"
    if record.is_removed:
        return f"{arrived}, read in batch {record.batch_id}; retention has removed it from bronze"
    snapshot = f" (snapshot {record.bronze_snapshot_id})" if record.bronze_snapshot_id else ""
    ingested = instant(record.ingested_at) if record.ingested_at else "?"
    return f"{arrived}, in bronze since {ingested} by batch {record.batch_id}{snapshot}"


def _verdict(record: TracedRecord) -> str:
    snapshot = f"; silver snapshot {record.silver_snapshot_id}" if record.silver_snapshot_id else ""
    match record.verdict:
        case "accepted":
            late = f", {record.lateness_seconds:,.0f} s behind" if record.arrival == "late" else ""
            return f"accepted, {(record.arrival or '').replace('_', ' ')}{late}{snapshot}"
        case "duplicate":
            original = f" of {ref_text(record.duplicate_of)}" if record.duplicate_of else ""
            return f"duplicate{original}: it adds nothing"
        case "quarantined":
            return f"quarantined: {', '.join(record.reasons)} ({record.detail})"
        case _:
            return "no verdict yet"


def _releases(record: TracedRecord) -> list[str]:
    origin = [f"released from {ref_text(record.released_from)}"] if record.released_from else []
    return origin + [f"released as {ref_text(copy)}" for copy in record.released_as]
