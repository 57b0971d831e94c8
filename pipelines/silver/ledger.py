"""The ledger: how many records of each batch and partition got which verdict (R26).

A checkpoint stores its entries in the snapshot summary, in the commit that writes the rows they count. `Ledger` copies
them from there to the `ops` tables later, so a process that ends before that loses no entry.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple, Self

import polars as pl
import pyarrow as pa

from pipelines.contracts.registry import CONTRACTS
from pipelines.contracts.tables import BATCHES, RULE_COUNTS, SCHEMA_DRIFT, checkpoint_table
from pipelines.lake.catalog import Lake, LakeTable, encode


@dataclass(slots=True)
class PartitionCounts:
    """Records of one partition in one batch, by verdict. `reasons` counts quarantined records by rule."""

    partition: int
    offset_from: int
    offset_to: int
    polled: int
    accepted_on_time: int
    accepted_late: int
    duplicates: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)


class FieldDrift(NamedTuple):
    """A field that the contract does not have: in how many records, and the first of them."""

    field: str
    rows: int
    partition: int
    offset: int
    sample: str


@dataclass(slots=True)
class BatchEntry:
    """The counts of one bronze batch of a topic.

    `silver_at`, `silver_snapshot_id` and `gold_at` are None until the commit or refresh they name has happened.
    `gold_at` is not stored in the checkpoint.
    """

    batch_id: int
    started_at: datetime | None
    bronze_at: datetime | None
    bronze_snapshot_id: int | None
    silver_at: datetime | None = None
    silver_snapshot_id: int | None = None
    partitions: list[PartitionCounts] = field(default_factory=list)
    warned: dict[str, int] = field(default_factory=dict)  # accepted records by warn rule
    drift: list[FieldDrift] = field(default_factory=list)
    gold_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The stored form: the order of its keys is part of the format."""
        return {
            "batch_id": self.batch_id,
            "started_at": _text(self.started_at),
            "bronze_at": _text(self.bronze_at),
            "bronze_snapshot_id": self.bronze_snapshot_id,
            "silver_at": _text(self.silver_at),
            "silver_snapshot_id": self.silver_snapshot_id,
            "partitions": [asdict(counts) for counts in self.partitions],
            "warned": self.warned,
            "drift": [list(one) for one in self.drift],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The entry of which `to_dict` made `stored`."""
        return cls(
            batch_id=stored["batch_id"],
            started_at=_time(stored["started_at"]),
            bronze_at=_time(stored["bronze_at"]),
            bronze_snapshot_id=stored["bronze_snapshot_id"],
            silver_at=_time(stored["silver_at"]),
            silver_snapshot_id=stored["silver_snapshot_id"],
            partitions=[PartitionCounts(**counts) for counts in stored["partitions"]],
            warned=stored["warned"],
            drift=[FieldDrift(*one) for one in stored["drift"]],
        )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def encode_entries(entries: Iterable[BatchEntry]) -> str:
    """Entries as the checkpoint stores them: compact JSON, keys in the order of `to_dict`."""
    return json.dumps([entry.to_dict() for entry in entries], separators=(",", ":"))


def stored_entries(table: LakeTable) -> list[BatchEntry]:
    """The entries that a checkpoint table stores and that may not be in `ops.batches` yet.

    Entries of the newest commit were written before it had a snapshot id and a time; these are filled in.
    """
    entries = [BatchEntry.from_dict(one) for one in json.loads(table.checkpoint().get("ledger", "[]"))]
    fill_in_commit(entries, *(table.checkpoint_commit() or (None, None)))
    return entries


def fill_in_commit(entries: Iterable[BatchEntry], snapshot_id: int | None, committed_at: datetime | None) -> None:
    """Set the silver snapshot id and time of the entries that do not have them."""
    for entry in entries:
        if entry.silver_snapshot_id is None:
            entry.silver_snapshot_id, entry.silver_at = snapshot_id, committed_at


class Ledger:
    """The `ops` tables that hold the entries of all topics. One holder."""

    def __init__(self, lake: Lake) -> None:
        self._batches = lake.ensure("ops.batches", BATCHES)
        self._rules = lake.ensure("ops.rule_counts", RULE_COUNTS)
        self._drift = lake.ensure("ops.schema_drift", SCHEMA_DRIFT)

    def reload(self) -> None:
        """Load the newest state of the tables."""
        for table in self.tables:
            table.reload()

    def flushed(self) -> dict[str, int]:
        """Topic -> last batch that `ops.batches` holds."""
        return _flushed(self._batches)

    @property
    def tables(self) -> tuple[LakeTable, ...]:
        """The tables, in the order in which `flush` writes them."""
        return (self._rules, self._drift, self._batches)

    def flush(self, pending: Mapping[str, Iterable[BatchEntry]]) -> None:
        """Append the entries, by topic, that the tables do not hold yet.

        Each table stores in its checkpoint the last batch of each topic that it holds, so each gets an entry once.
        """
        entries = {topic: list(found) for topic, found in pending.items()}
        for table, rows_of, schema in (
            (self._rules, _rule_rows, RULE_COUNTS),
            (self._drift, _drift_rows, SCHEMA_DRIFT),
            (self._batches, _batch_rows, BATCHES),
        ):
            before = _flushed(table)
            flushed = dict(before)
            rows: list[dict[str, Any]] = []
            for topic, found in entries.items():
                for entry in found:
                    if entry.batch_id > before.get(topic, 0):
                        rows += rows_of(topic, entry)
                        flushed[topic] = max(flushed.get(topic, 0), entry.batch_id)
            if rows:
                table.append(pa.Table.from_pylist(rows, schema=schema), {"flushed": encode(flushed)})


def _flushed(table: LakeTable) -> dict[str, int]:
    flushed: dict[str, int] = json.loads(table.checkpoint().get("flushed", "{}"))
    return flushed


def read_ledger(lake: Lake) -> pa.Table:
    """All entries (schema BATCHES): those of `ops.batches`, and those that only the checkpoints hold so far."""
    # Read the checkpoints first: entries move from them to ops.batches.
    checkpoints = {topic: lake.find(checkpoint_table(topic)) for topic in CONTRACTS}
    table = lake.find("ops.batches")
    found = [table.read().select(BATCHES.names).cast(BATCHES)] if table is not None else []
    flushed = _flushed(table) if table is not None else {}
    for topic, checkpoint in checkpoints.items():
        if checkpoint is None:
            continue
        rows = [
            row
            for entry in stored_entries(checkpoint)
            if entry.batch_id > flushed.get(topic, 0)
            for row in _batch_rows(topic, entry)
        ]
        found.append(pa.Table.from_pylist(rows, schema=BATCHES))
    return pa.concat_tables(found) if found else BATCHES.empty_table()


def entries_of(lake: Lake, topic: str) -> pl.DataFrame:
    """The entries of one topic, without the reasons."""
    read = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
    return read.filter(pl.col("topic") == topic)


_SHARED_COLUMNS: Sequence[str] = [one.name for one in fields(PartitionCounts) if one.name != "reasons"]


def _batch_rows(topic: str, entry: BatchEntry) -> list[dict[str, Any]]:
    return [
        {
            "batch_id": entry.batch_id,
            "topic": topic,
            "bronze": counts.polled,
            "quarantined_by_reason": list(counts.reasons.items()),
            "started_at": entry.started_at,
            "bronze_at": entry.bronze_at,
            "silver_at": entry.silver_at,
            "gold_at": entry.gold_at,
            "bronze_snapshot_id": entry.bronze_snapshot_id,
            "silver_snapshot_id": entry.silver_snapshot_id,
            **{name: getattr(counts, name) for name in _SHARED_COLUMNS},
        }
        for counts in entry.partitions
    ]


def _rule_rows(topic: str, entry: BatchEntry) -> list[dict[str, Any]]:
    stopped: dict[str, int] = {}
    for counts in entry.partitions:
        for reason, count in counts.reasons.items():
            stopped[reason] = stopped.get(reason, 0) + count
    actions = (("quarantine", stopped), ("warn", entry.warned))
    return [
        {"batch_id": entry.batch_id, "topic": topic, "rule": rule, "action": action, "rows": count}
        for action, by_rule in actions
        for rule, count in sorted(by_rule.items())
    ]


def _drift_rows(topic: str, entry: BatchEntry) -> list[dict[str, Any]]:
    return [
        {
            "topic": topic,
            "batch_id": entry.batch_id,
            "field": drift.field,
            "change": "new_field",
            "rows": drift.rows,
            "first_partition": drift.partition,
            "first_offset": drift.offset,
            "sample": drift.sample,
        }
        for drift in entry.drift
    ]
