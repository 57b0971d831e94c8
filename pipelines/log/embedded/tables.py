"""The tables of the embedded log's file: reading and writing them inside one transaction.

`records_<topic number>_<partition>` holds the records of one topic partition by offset. Topic numbers are never reused,
so a topic that is deleted and recreated gets new tables and a new id. Key and value are separate columns that keep null
and empty apart; the headers of a record are encoded in one column.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import LogRefusedError
from pipelines.log.embedded import headers
from pipelines.log.embedded.sqlite import Database
from pipelines.log.interface import HEADERS, RECORDS
from pipelines.log.outgoing import byte_sizes

FORMAT = 1
SCHEMA = (
    "create table log(log_id text not null, format integer not null) strict",
    "create table topics(topic_number integer primary key autoincrement, topic text not null unique,"
    " topic_id text not null) strict",
    # bytes: of all keys and values in the table; largest: bytes of the largest record ever written
    "create table partitions(topic_number integer not null, partition integer not null, first_offset integer not null,"
    " next_offset integer not null, bytes integer not null, largest integer not null,"
    " primary key (topic_number, partition)) strict, without rowid",
)
_BATCH_ROWS, _BATCH_BYTES = 8192, 16 * 2**20  # that the driver reads at a time: fewer rows if records are large
_TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Partition:
    """One topic partition, as the file stores it."""

    table: str
    first_offset: int
    next_offset: int
    bytes: int
    largest: int


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, as the file stores it."""

    number: int
    topic_id: str
    partitions: Mapping[int, Partition]


def insert_log_id() -> str:
    """Return the statement that gives a new file its id and format."""
    return f"insert into log values ('{uuid.uuid4()}', {FORMAT})"


def log_id(database: Database) -> str:
    """Return the id of the log in the file. Raises LogRefusedError if the file is not a log of this format."""
    if not database.rows("select 1 from sqlite_master where name = 'log'"):
        raise LogRefusedError(f"{database.path} is no log of AnimeVerse: choose another path or move the file away")
    ((identity, stored_format),) = database.rows("select log_id, format from log")
    if stored_format != FORMAT:
        raise LogRefusedError(f"the log {database.path} has format {stored_format}, this version reads {FORMAT}")
    return str(identity)


def find_topic(database: Database, topic: str) -> Topic | None:
    """Return the topic as it is now, or None."""
    rows = database.rows(
        "select topic_number, topic_id, partition, first_offset, next_offset, bytes, largest"
        " from topics join partitions using (topic_number) where topic = ? order by partition",
        topic,
    )
    if not rows:
        return None
    number, topic_id = rows[0][:2]
    return Topic(number, topic_id, {row[2]: Partition(f"records_{number}_{row[2]}", *row[3:]) for row in rows})


def create_topic(database: Database, topic: str, partitions: int) -> None:
    """Create a missing topic, inside the caller's transaction."""
    name = pa.RecordBatch.from_pydict({"topic": [topic], "topic_id": [str(uuid.uuid4())]})
    database.execute("insert into topics(topic, topic_id) values (?, ?)", name)
    ((number,),) = database.rows("select topic_number from topics where topic = ?", topic)
    for partition in range(partitions):
        database.execute(f"insert into partitions values ({number}, {partition}, 0, 0, 0, 0)")
        database.execute(
            f"create table records_{number}_{partition}(offset integer primary key, timestamp integer not null,"
            " key blob, headers blob, value blob) strict"
        )


def insert(
    database: Database, topic: Topic, records: pa.RecordBatch, chosen: npt.NDArray[np.int32], now: datetime
) -> None:
    """Append records to their `chosen` partitions, in order, inside the caller's transaction.

    Records without a timestamp get `now`.
    """
    timestamps = records["timestamp"].fill_null(pa.scalar(now, _TIMESTAMP)).cast(pa.int64())
    cells = pa.RecordBatch.from_arrays(
        [timestamps, records["key"], headers.encode(records["headers"]), records["value"]],
        names=["timestamp", "key", "headers", "value"],
    )
    sizes = byte_sizes(records)
    order = np.argsort(chosen, kind="stable")
    cells, sizes = cells.take(pa.array(order)), sizes[order]
    numbers, starts = np.unique(chosen[order], return_index=True)
    for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(order)], strict=True):
        partition = topic.partitions[number]
        next_offset = partition.next_offset + int(end - start)
        offsets = pa.array(np.arange(partition.next_offset, next_offset))
        part = cells.slice(start, end - start).add_column(0, "offset", offsets)
        database.execute(f"insert into {partition.table} values (?, ?, ?, ?, ?)", part)
        database.execute(
            f"update partitions set next_offset = {next_offset}, bytes = bytes + {sizes[start:end].sum()},"
            f" largest = max(largest, {sizes[start:end].max()})"
            f" where topic_number = {topic.number} and partition = {number}"
        )


def read(
    database: Database, number: int, partition: Partition, start: int, count: int, most_bytes: int
) -> tuple[pa.Table, int]:
    """Return records (schema RECORDS) from offset `start` on, and the bytes of their keys and values.

    Reads at most `count` records, and no further batch after `most_bytes`; at least one record if there is one.
    """
    batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, partition.largest)))
    # No column may be null throughout: the driver would infer a number.
    query = (
        "select offset, timestamp, coalesce(key, x'') as key, coalesce(headers, x'') as headers,"
        " coalesce(value, x'') as value, (key is null) + 2 * (value is null) as absent"
        f" from {partition.table} where offset >= {start} and offset < {start + count} order by offset"
    )
    parts, size = [], 0
    with database.batches(query, batch_rows) as batches:
        for batch in batches:
            if len(batch):
                parts.append(_as_records(number, batch))
                size += int(byte_sizes(batch).sum())
            if size >= most_bytes:
                break
    return pa.Table.from_batches(parts, RECORDS), size


def _as_records(number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    key, encoded, value, absent = batch["key"], batch["headers"], batch["value"], batch["absent"]
    if pc.max(absent).as_py():
        key = pc.if_else(pc.equal(pc.bit_wise_and(absent, 1), 0), key, pa.scalar(None, pa.binary()))
        value = pc.if_else(pc.equal(pc.bit_wise_and(absent, 2), 0), value, pa.scalar(None, pa.binary()))
    has_no_headers = pc.max(pc.binary_length(encoded)).as_py() == 0
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(len(batch), number, np.int32)),
            batch["offset"],
            batch["timestamp"].cast(_TIMESTAMP),
            key,
            pa.nulls(len(batch), HEADERS) if has_no_headers else headers.decode(encoded),
            value,
        ],
        schema=RECORDS,
    )
