"""One event through the layers: every record that carried its id, where it lies, and what became of it.

Bronze is read once from end to end, values only looked into where the id's bytes stand in them. Records that hold the
id's text but are no readable JSON object are named apart: whether they carried the id, nobody can say.
"""

from collections.abc import Iterator, Sequence
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
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import QUARANTINE, bronze_name, checkpoint_table
from pipelines.errors import LakehouseError, LogIdentityError
from pipelines.lake.catalog import Lake, open_lakehouse
from pipelines.log.interface import Log
from pipelines.log.open import open_log
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
    batch_id: int | None = None  # None: bronze has not read it yet
    is_removed: bool = False  # from bronze, by age: what is known of it is what silver or the quarantine kept
    ingested_at: datetime | None = None
    bronze_snapshot_id: int | None = None
    silver_snapshot_id: int | None = None
    verdict: str = "waiting"  # accepted, duplicate, quarantined; waiting: silver has not judged it yet
    arrival: str | None = None
    lateness_seconds: float | None = None
    event_time: datetime | None = None
    duplicate_of: RecordRef | None = None
    reasons: Sequence[str] = ()
    detail: str | None = None
    released_from: RecordRef | None = None
    released_as: Sequence[RecordRef] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times in ISO 8601, places as P/O."""
        found = {name: getattr(self, name) for name in self.__slots__}
        places = ("duplicate_of", "released_from")
        return found | {
            "key": shown(self.key),
            "value": shown(self.value),
            "headers": [{"key": name, "value": shown(value)} for name, value in self.headers],
            **{name: None if found[name] is None else ref_text(found[name]) for name in places},
            "released_as": [ref_text(place) for place in self.released_as],
            **{
                name: None if found[name] is None else found[name].isoformat().replace("+00:00", "Z")
                for name in ("timestamp", "ingested_at", "event_time")
            },
        }


@dataclass(slots=True)
class Trace:
    """All records of all topics asked for that carried an id, in log order by topic."""

    event_id: str
    records: list[TracedRecord] = field(default_factory=list)
    unreadable: list[tuple[str, RecordRef]] = field(
        default_factory=list
    )  # hold the id's text, but carry no readable id
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "event_id": self.event_id,
            "records": [record.to_dict() for record in self.records],
            "unreadable": [{"topic": topic, "record": ref_text(place)} for topic, place in self.unreadable],
            "notes": list(self.notes),
        }


def trace(settings: Settings, event_id: str, topics: Sequence[str] = TOPICS) -> Trace:
    """Every record that carried the id. Raises NoLakehouseError where there is nothing to look in."""
    lake = open_lakehouse(settings)
    found = Trace(event_id)
    try:
        book = ReleaseHistory.read(lake)
        ledger = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
        log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
        try:
            for topic in topics:
                _trace_topic(found, lake, log, topic, book, ledger.filter(pl.col("topic") == topic))
        finally:
            log.close()
    finally:
        lake.close()
    return found


def _trace_topic(found: Trace, lake: Lake, log: Log, topic: str, book: ReleaseHistory, ledger: pl.DataFrame) -> None:
    bronze = lake.find(bronze_name(topic))
    if bronze is None:
        return
    records = list(_removed(found, lake, topic, RemovedRange.of(bronze), ledger))
    for batch in bronze.read_streamed([*_COLUMNS, "ingested_at", "batch_id"]):
        records += _carriers(found, topic, pa.Table.from_batches([batch]))
    try:
        for part in _not_read_yet(log, topic, Position.of(bronze)):
            records += _carriers(found, topic, part)
    except LakehouseError as error:
        found.notes.append(f"{topic}: whether the log holds more than bronze is not known: {error}")
    records.sort(key=lambda record: (record.batch_id or 2**63, record.partition, record.offset))
    if not records:
        return
    commits = batch_commits(bronze)
    snapshots = {
        (batch, partition): (of_bronze, of_silver)
        for batch, partition, of_bronze, of_silver in ledger.select(
            "batch_id", "partition", "bronze_snapshot_id", "silver_snapshot_id"
        ).iter_rows()
    }
    for record in records:
        batch = record.batch_id
        if batch is not None:
            of_bronze, record.silver_snapshot_id = snapshots.get((batch, record.partition), (None, None))
            known = commits.get(batch)
            record.bronze_snapshot_id = of_bronze or (known.snapshot_id if known is not None else None)
    _add_verdicts(lake, topic, found.event_id, records)
    _add_releases(lake, topic, records, book)
    found.records += records


def _removed(found: Trace, lake: Lake, topic: str, cut: RemovedRange, ledger: pl.DataFrame) -> Iterator[TracedRecord]:
    """What silver and the quarantine hold of records that retention removed from bronze."""
    anchor = lake.find(checkpoint_table(topic))
    if anchor is None or not cut.through:
        return
    found.notes.append(f"{topic}: retention removed {cut} from bronze; duplicates among them left no row to be found")
    columns = ["_partition", "_offset", "_recorded_at", "_ingested_at"]
    records = [
        TracedRecord(topic, partition, offset, recorded_at, None, (), None, ingested_at=ingested_at)
        for row in anchor.read_in("event_id", [found.event_id], columns)
        for partition, offset, recorded_at, ingested_at in [map(row.__getitem__, columns)]
    ]
    light = read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS).filter(pl.col("event_id") == found.event_id)
    if places := frozenset(light.select("partition", "offset").iter_rows()):
        stopped = read_rows(lake, QuarantineFilter(topic, places=places), QUARANTINE.names)
        records += _carriers(found, topic, stopped.select(_COLUMNS).to_arrow())
    for record in records:
        if cut.has(record.partition, record.offset):
            place = pl.DataFrame(
                {"partition": [record.partition], "offset": [record.offset]}, schema_overrides={"partition": pl.Int32}
            )
            record.batch_id, record.is_removed = with_batch(place, ledger)["batch_id"][0], True
            yield record


def _carriers(found: Trace, topic: str, rows: pa.Table) -> Iterator[TracedRecord]:
    """Records whose JSON object names the id; those that only hold its text are noted as unreadable."""
    values = rows.column("value")
    plain = pc.match_substring(values, found.event_id.encode())
    escaped = pc.match_substring(values, b"\\")
    for row in rows.filter(pc.fill_null(pc.or_(plain, escaped), False)).to_pylist():
        carried = event_id_of(row["value"])
        place = row["partition"], row["offset"]
        if carried is None and found.event_id.encode() in row["value"]:
            found.unreadable.append((topic, place))
        if carried == found.event_id:
            headers = [(header["key"], header["value"]) for header in row.pop("headers") or ()]
            yield TracedRecord(topic, headers=headers, **row)


def _not_read_yet(log: Log, topic: str, position: Position) -> Iterator[pa.Table]:
    """What the log holds beyond bronze, by bronze's numbers."""
    log = with_bronze_partitions(log, topic, position.incarnation)
    state = log.topic_state(topic)
    if position.topic_id not in (None, state.topic_id):
        raise LogIdentityError(f"bronze was read from topic {position.topic_id}, the log's is {state.topic_id}")
    at = {p: max(position.next_offsets.get(p, 0), first) for p, first in state.first_offsets.items()}
    while behind := {p: offset for p, offset in at.items() if offset < state.end_offsets[p]}:
        polled = log.poll(topic, behind, _CHUNK, 1.0)
        if all(polled.next_offsets[p] == at[p] for p in behind):
            return
        at |= polled.next_offsets
        yield polled.records


def _add_verdicts(lake: Lake, topic: str, event_id: str, records: list[TracedRecord]) -> None:
    anchor = lake.find(checkpoint_table(topic))
    if anchor is None:
        return
    consumed = int(anchor.checkpoint().get("consumed", 0))
    columns = ["event_time", "_partition", "_offset", "_arrival", "_lateness_seconds"]
    accepted = {(row["_partition"], row["_offset"]): row for row in anchor.read_in("event_id", [event_id], columns)}
    wanted = QuarantineFilter(topic, places=frozenset((record.partition, record.offset) for record in records))
    columns = [name for name in QUARANTINE.names if name not in ("key", "headers", "value")]
    stopped = {(row["partition"], row["offset"]): row for row in read_rows(lake, wanted, columns).iter_rows(named=True)}
    owners: list[tuple[object, RecordRef]] = []
    for record in records:
        place = record.partition, record.offset
        if record.batch_id is None or record.batch_id > consumed:
            record.silver_snapshot_id = None
        elif (row := accepted.get(place)) is not None:
            record.verdict, record.arrival, record.event_time = "accepted", row["_arrival"], row["event_time"]
            record.lateness_seconds = row["_lateness_seconds"]
            owners.append((object() if record.value is None else canonical(record.value), place))
        elif (row := stopped.get(place)) is not None:
            record.verdict, record.reasons, record.detail = "quarantined", row["reasons"], row["detail"]
        else:
            record.verdict = "duplicate"
            same = canonical(record.value or b"")
            equal = [owner for value, owner in owners if value == same] or [owner for _, owner in owners]
            record.duplicate_of = equal[-1] if equal else None


def _add_releases(lake: Lake, topic: str, records: list[TracedRecord], book: ReleaseHistory) -> None:
    headers = [[{"key": name, "value": value} for name, value in record.headers] for record in records]
    rows = pl.DataFrame(
        {
            "partition": [record.partition for record in records],
            "offset": [record.offset for record in records],
            "headers": pl.Series(headers, dtype=_HEADERS),
        }
    )
    origins = named_origins(lake, topic, rows)
    for index, record in enumerate(records):
        record.released_from = origins.get(index)
        record.released_as = book.copies(topic, (record.partition, record.offset))
