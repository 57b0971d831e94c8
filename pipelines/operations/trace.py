"""`animeverse trace`: finds every record that carried an event's id, and its verdict.

Reads bronze once and parses only values that contain the id's bytes or an escape. Records with the id's text but no
readable event_id are reported separately.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.position import Position
from pipelines.bronze.record_ref import RecordRef, ref_text
from pipelines.bronze.removed_range import RemovedRange, with_batch
from pipelines.bronze.table import batch_commits
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.clock import instant
from pipelines.config.log import open_log_of
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import QUARANTINE, bronze_name, checkpoint_table
from pipelines.errors import LakehouseError, LogIdentityError
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.log.interface import Log
from pipelines.log.scan import scan
from pipelines.operations.log_topic import topic_mismatch
from pipelines.parsing.json_text import canonical, event_id_of
from pipelines.quarantine.records import KEY_COLUMNS, QuarantineFilter, named_origins, read_rows, shown
from pipelines.quarantine.release_log import ReleaseHistory
from pipelines.silver.ledger import read_ledger

_CHUNK = 50_000  # records read from the log at a time
_HEADERS = pl.List(pl.Struct({"key": pl.String(), "value": pl.Binary()}))
_COLUMNS = ["partition", "offset", "timestamp", "key", "headers", "value"]


@dataclass(slots=True)
class TracedRecord:
    """One record that carried the id."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime | None
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None
    batch_id: int | None = None  # None: not in bronze yet
    is_removed: bool = False  # retention removed it from bronze: only what silver or quarantine kept is known
    ingested_at: datetime | None = None
    bronze_snapshot_id: int | None = None
    silver_snapshot_id: int | None = None
    verdict: str = "waiting"  # accepted, duplicate, quarantined; waiting: no verdict yet
    arrival: str | None = None
    lateness_seconds: float | None = None
    event_time: datetime | None = None
    duplicate_of: RecordRef | None = None
    reasons: Sequence[str] = ()
    detail: str | None = None
    released_from: RecordRef | None = None
    released_as: Sequence[RecordRef] = ()

    @property
    def ref(self) -> RecordRef:
        """Partition and offset."""
        return self.partition, self.offset

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict: times in ISO 8601, record references as partition/offset."""
        values = {name: getattr(self, name) for name in self.__slots__}
        references = ("duplicate_of", "released_from")
        times = ("timestamp", "ingested_at", "event_time")
        return values | {
            "key": shown(self.key),
            "value": shown(self.value),
            "headers": [{"key": name, "value": shown(value)} for name, value in self.headers],
            **{name: None if values[name] is None else ref_text(values[name]) for name in references},
            "released_as": [ref_text(ref) for ref in self.released_as],
            **{name: None if values[name] is None else instant(values[name]) for name in times},
        }


@dataclass(slots=True)
class Trace:
    """All records that carried an id, in log order by topic."""

    event_id: str
    records: list[TracedRecord] = field(default_factory=list)
    unreadable: list[tuple[str, RecordRef]] = field(default_factory=list)  # contain the id's text, but no readable id
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {
            "event_id": self.event_id,
            "records": [record.to_dict() for record in self.records],
            "unreadable": [{"topic": topic, "record": ref_text(ref)} for topic, ref in self.unreadable],
            "notes": list(self.notes),
        }


def trace(settings: Settings, event_id: str, topics: Sequence[str] = TOPICS) -> Trace:
    """Find every record of the topics that carried the id. Raises NoLakehouseError without a lakehouse."""
    result = Trace(event_id)
    with closing(open_lakehouse(settings)) as lake:
        history = ReleaseHistory.read(lake)
        ledger = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
        with closing(open_log_of(settings)) as log:
            for topic in topics:
                _trace_topic(result, lake, log, topic, history, ledger.filter(pl.col("topic") == topic))
    return result


def _trace_topic(
    result: Trace, lake: Lake, log: Log, topic: str, history: ReleaseHistory, ledger: pl.DataFrame
) -> None:
    bronze = lake.find(bronze_name(topic))
    if bronze is None:
        return
    records = list(_removed_records(result, lake, topic, RemovedRange.of(bronze), ledger))
    for batch in bronze.read_streamed([*_COLUMNS, "ingested_at", "batch_id"]):
        records += _matching_records(result, topic, pa.Table.from_batches([batch]))
    try:
        for unread in _unread_records(log, topic, Position.of(bronze)):
            records += _matching_records(result, topic, unread)
    except LakehouseError as error:
        result.notes.append(f"{topic}: whether the log holds more than bronze is not known: {error}")
    records.sort(key=lambda record: (record.batch_id or 2**63, record.partition, record.offset))
    if not records:
        return
    _add_snapshots(records, bronze, ledger)
    _add_verdicts(lake, topic, result.event_id, records)
    _add_releases(lake, topic, records, history)
    result.records += records


def _removed_records(
    result: Trace, lake: Lake, topic: str, removed: RemovedRange, ledger: pl.DataFrame
) -> Iterator[TracedRecord]:
    """Yield what silver and quarantine hold of matching records that retention removed from bronze."""
    silver = lake.find(checkpoint_table(topic))
    if silver is None or not removed.through:
        return
    result.notes.append(f"{topic}: retention removed {removed} from bronze; duplicates among them left no row")
    columns = ["_partition", "_offset", "_recorded_at", "_ingested_at"]
    records = [
        TracedRecord(topic, partition, offset, recorded_at, None, (), None, ingested_at=ingested_at)
        for row in silver.read_in("event_id", [result.event_id], columns)
        for partition, offset, recorded_at, ingested_at in [map(row.__getitem__, columns)]
    ]
    keys = read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS).filter(pl.col("event_id") == result.event_id)
    if refs := frozenset(keys.select("partition", "offset").iter_rows()):
        quarantined = read_rows(lake, QuarantineFilter(topic, places=refs), QUARANTINE.names)
        records += _matching_records(result, topic, quarantined.select(_COLUMNS).to_arrow())
    for record in records:
        if removed.has(record.partition, record.offset):
            row = pl.DataFrame([record.ref], schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row")
            record.batch_id, record.is_removed = with_batch(row, ledger)["batch_id"][0], True
            yield record


def _matching_records(result: Trace, topic: str, rows: pa.Table) -> Iterator[TracedRecord]:
    """Yield the records whose event_id is the id; note those that contain its text but have no readable event_id."""
    values = rows.column("value")
    has_id = pc.match_substring(values, result.event_id.encode())
    has_escape = pc.match_substring(values, b"\\")
    for row in rows.filter(pc.fill_null(pc.or_(has_id, has_escape), False)).to_pylist():
        event_id = event_id_of(row["value"])
        if event_id is None and result.event_id.encode() in row["value"]:
            result.unreadable.append((topic, (row["partition"], row["offset"])))
        if event_id == result.event_id:
            headers = [(header["key"], header["value"]) for header in row.pop("headers") or ()]
            yield TracedRecord(topic, headers=headers, **row)


def _unread_records(log: Log, topic: str, position: Position) -> Iterator[pa.Table]:
    """Yield the records of the log that bronze has not read, in bronze's partition numbers."""
    log = with_bronze_partitions(log, topic, position.incarnation)
    state = log.topic_state(topic)
    if mismatch := topic_mismatch(position, state):
        raise LogIdentityError(mismatch)
    positions = {p: max(position.next_offsets.get(p, 0), first) for p, first in state.first_offsets.items()}
    return scan(log, topic, positions, state.end_offsets, _CHUNK)


def _add_snapshots(records: list[TracedRecord], bronze: LakeTable, ledger: pl.DataFrame) -> None:
    commits = batch_commits(bronze)
    columns = ("batch_id", "partition", "bronze_snapshot_id", "silver_snapshot_id")
    snapshots = {row[:2]: row[2:] for row in ledger.select(columns).iter_rows()}
    for record in records:
        if record.batch_id is not None:
            bronze_id, record.silver_snapshot_id = snapshots.get((record.batch_id, record.partition), (None, None))
            commit = commits.get(record.batch_id)
            record.bronze_snapshot_id = bronze_id or (commit.snapshot_id if commit is not None else None)


def _add_verdicts(lake: Lake, topic: str, event_id: str, records: list[TracedRecord]) -> None:
    silver = lake.find(checkpoint_table(topic))
    if silver is None:
        return
    consumed = int(silver.checkpoint().get("consumed", 0))
    columns = ["event_time", "_partition", "_offset", "_arrival", "_lateness_seconds"]
    accepted = {(row["_partition"], row["_offset"]): row for row in silver.read_in("event_id", [event_id], columns)}
    wanted = QuarantineFilter(topic, places=frozenset(record.ref for record in records))
    columns = [name for name in QUARANTINE.names if name not in ("key", "headers", "value")]
    rows = read_rows(lake, wanted, columns).iter_rows(named=True)
    quarantined = {(row["partition"], row["offset"]): row for row in rows}
    originals: list[tuple[object, RecordRef]] = []  # canonical value and reference of the accepted events so far
    for record in records:
        if record.batch_id is None or record.batch_id > consumed:
            record.silver_snapshot_id = None
        elif (row := accepted.get(record.ref)) is not None:
            record.verdict, record.arrival, record.event_time = "accepted", row["_arrival"], row["event_time"]
            record.lateness_seconds = row["_lateness_seconds"]
            originals.append((object() if record.value is None else canonical(record.value), record.ref))
        elif (row := quarantined.get(record.ref)) is not None:
            record.verdict, record.reasons, record.detail = "quarantined", row["reasons"], row["detail"]
        else:
            record.verdict = "duplicate"
            own_value = canonical(record.value or b"")
            equal = [ref for value, ref in originals if value == own_value] or [ref for _, ref in originals]
            record.duplicate_of = equal[-1] if equal else None


def _add_releases(lake: Lake, topic: str, records: list[TracedRecord], history: ReleaseHistory) -> None:
    headers = [[{"key": name, "value": value} for name, value in record.headers] for record in records]
    rows = pl.DataFrame([record.ref for record in records], schema=["partition", "offset"], orient="row")
    rows = rows.with_columns(headers=pl.Series(headers, dtype=_HEADERS))
    origins = named_origins(lake, topic, rows)
    for index, record in enumerate(records):
        record.released_from = origins.get(index)
        record.released_as = history.copies(topic, record.ref)
