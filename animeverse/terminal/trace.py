"""`animeverse trace`: one event through offset, batch, snapshot and verdict to the gold rows it became."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.markup import escape

from animeverse.services.trace import GoldRow
from animeverse.terminal import console
from animeverse.terminal.formats import to_text
from pipelines.bronze.record_ref import ref_text
from pipelines.clock import instant
from pipelines.operations.trace import Trace, TracedRecord

_ROWS_SHOWN = 20  # of a table: an event may have thousands of lines
_SHOWN = 200  # characters of a value
UNSEEN = (
    "records in quarantine whose event_id cannot be read are not found by it: `animeverse quarantine list` has them"
)


def as_json(found: Trace, gold: list[GoldRow]) -> dict[str, Any]:
    """For programs; amounts are text, with all digits."""
    rows = [{"table": table, **{name: _plain(value) for name, value in row.items()}} for table, row in gold]
    return found.to_dict() | {"gold": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    return format(value, "f") if isinstance(value, Decimal) else value


def print_trace(found: Trace, gold: list[GoldRow]) -> None:
    """For people, on stdout."""
    for record in found.records:
        console.put(f"[bold]{escape(record.topic)} {record.partition}/{record.offset}[/bold]  {escape(_way(record))}")
        console.put(f"  {escape(_verdict(record))}")
        for line in _releases(record):
            console.put(f"  {line}")
        if record.value is not None:
            text = record.value.decode(errors="backslashreplace")
            console.put(f"  [dim]{escape(text[:_SHOWN] + ('…' if len(text) > _SHOWN else ''))}[/dim]")
    for table in dict.fromkeys(table for table, _ in gold):
        rows = [row for name, row in gold if name == table]
        console.put(f"\n[bold]{table}[/bold]")
        columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
        for row in rows[:_ROWS_SHOWN]:
            console.put(console.table(("column", "value"), [(name, to_text(row[name])) for name in columns]))
        if len(rows) > _ROWS_SHOWN:
            console.put(f"and {console.count(len(rows) - _ROWS_SHOWN)} more: --json has them all")
    for topic, place in found.unreadable:
        console.say(f"{topic} {ref_text(place)} holds this text, but carries no event_id that can be read")
    for note in found.notes:
        console.say(note)


def _way(record: TracedRecord) -> str:
    arrived = f"arrived {instant(record.timestamp)}" if record.timestamp else "without a timestamp"
    if record.batch_id is None:
        return f"{arrived}, in the log only: `animeverse run` brings it on"
    if record.is_removed:
        return f"{arrived}, came by batch {record.batch_id}; retention has removed it from bronze"
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
            of = f" of {ref_text(record.duplicate_of)}" if record.duplicate_of else ""
            return f"duplicate{of}: it adds nothing"
        case "quarantined":
            return f"quarantined: {', '.join(record.reasons)} ({record.detail})"
        case _:
            return "not judged yet"


def _releases(record: TracedRecord) -> list[str]:
    found = [f"released from {ref_text(record.released_from)}"] if record.released_from else []
    return found + [f"released as {ref_text(copy)}" for copy in record.released_as]
