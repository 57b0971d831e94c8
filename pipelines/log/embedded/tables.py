"""The tables inside the embedded log's file, and what one transaction does to them.

`records_<topic number>_<partition>` holds one topic partition's records by offset. Topic numbers are never used twice,
so a topic that is deleted and made anew gets new tables and a new id. Key and value are cells of their own, null and
empty apart; headers are packed into one cell, which costs nothing where there are none.
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
    # bytes: of all keys and values held; largest: of the largest record there ever was
    "create table partitions(topic_number integer not null, partition integer not null, first_offset integer not null,"
    " next_offset integer not null, bytes integer not null, largest integer not null,"
    " primary key (topic_number, partition)) strict, without rowid",
)
_BATCH_ROWS, _BATCH_BYTES = 8192, 16 * 2**20  # what the driver reads at once: fewer rows where records are large
_STAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Partition:
    """What the file says of one topic partition."""

    table: str
    first_offset: int
    next_offset: int
    bytes: int
    largest: int


@dataclass(frozen=True, slots=True)
class Topic:
    """What the file says of one topic."""

    number: int
    topic_id: str
    partitions: Mapping[int, Partition]


def new_log() -> str:
    """The statement that gives a new file its identity."""
    return f"insert into log values ('{uuid.uuid4()}', {FORMAT})"


def log_id(database: Database) -> str:
    """The identity of the log in the file. Raises LogRefusedError where there is none, or one of another format."""
    if not database.rows("select 1 from sqlite_master where name = 'log'"):
        raise LogRefusedError(f"{database.path} is no log of AnimeVerse: choose another path or move the file away")
    ((identity, found),) = database.rows("select log_id, format from log")
    if found != FORMAT:
        raise LogRefusedError(f"the log {database.path} has format {found}, this version reads {FORMAT}")
    return str(identity)


def find_topic(database: Database, topic: str) -> Topic | None:
    """The topic as it is now."""
    rows = database.rows(
        "select topic_number, topic_id, partition, first_offset, next_offset, bytes, largest"
        " from topics join partitions using (topic_number) where topic = ? order by partition",
        topic,
    )
    if not rows:
        return None
    number, topic_id = rows[0][:2]
    return Topic(number, topic_id, {row[2]: Partition(f"records_{number}_{row[2]}", *row[3:]) for row in rows})


def make_topic(database: Database, topic: str, partitions: int) -> None:
    """Make a topic that is not there, inside the caller's transaction."""
    name = pa.RecordBatch.from_pydict({"topic": [topic], "topic_id": [str(uuid.uuid4())]})
    database.execute("insert into topics(topic, topic_id) values (?, ?)", name)
    ((number,),) = database.rows("select topic_number from topics where topic = ?", topic)
    for partition in range(partitions):
        database.execute(f"insert into partitions values ({number}, {partition}, 0, 0, 0, 0)")
        database.execute(
            f"create table records_{number}_{partition}(offset integer primary key, timestamp integer not null,"
            " key blob, headers blob, value blob) strict"
        )


def drop_topic(database: Database, topic: Topic) -> None:
    """Delete a topic with all its records, inside the caller's transaction."""
    for partition in topic.partitions.values():
        database.execute(f"drop table {partition.table}")
    database.execute(f"delete from partitions where topic_number = {topic.number}")
    database.execute(f"delete from topics where topic_number = {topic.number}")


def insert(
    database: Database, topic: Topic, records: pa.RecordBatch, chosen: npt.NDArray[np.int32], now: datetime
) -> None:
    """Append records to the partitions `chosen` for them, in order, inside the caller's transaction."""
    stamps = records["timestamp"].fill_null(pa.scalar(now, _STAMP)).cast(pa.int64())
    cells = pa.RecordBatch.from_arrays(
        [stamps, records["key"], headers.encode(records["headers"]), records["value"]],
        names=["timestamp", "key", "headers", "value"],
    )
    sizes = byte_sizes(records)
    order = np.argsort(chosen, kind="stable")
    cells, sizes = cells.take(pa.array(order)), sizes[order]
    numbers, starts = np.unique(chosen[order], return_index=True)
    for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(order)], strict=True):
        partition = topic.partitions[number]
        following = partition.next_offset + int(end - start)
        offsets = pa.array(np.arange(partition.next_offset, following))
        part = cells.slice(start, end - start).add_column(0, "offset", offsets)
        database.execute(f"insert into {partition.table} values (?, ?, ?, ?, ?)", part)
        database.execute(
            f"update partitions set next_offset = {following}, bytes = bytes + {sizes[start:end].sum()},"
            f" largest = max(largest, {sizes[start:end].max()})"
            f" where topic_number = {topic.number} and partition = {number}"
        )


def read(
    database: Database, number: int, partition: Partition, start: int, count: int, most_bytes: int
) -> tuple[pa.Table, int]:
    """Records (schema RECORDS) from offset `start` on and the bytes of their keys and values.

    At most `count`, and no further batch once there are `most_bytes`; at least one where there is one.
    """
    batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, partition.largest)))
    # No column is ever null throughout, so the driver cannot take it for a number.
    query = (
        "select offset, timestamp, coalesce(key, x'') as key, coalesce(headers, x'') as headers,"
        " coalesce(value, x'') as value, (key is null) + 2 * (value is null) as absent"
        f" from {partition.table} where offset >= {start} and offset < {start + count} order by offset"
    )
    found, size = [], 0
    with database.batches(query, batch_rows) as batches:
        for batch in batches:
            if len(batch):
                found.append(_as_records(number, batch))
                size += int(byte_sizes(batch).sum())
            if size >= most_bytes:
                break
    return pa.Table.from_batches(found, RECORDS), size


def trim(database: Database, topic: Topic, number: int, oldest: datetime | None, most_bytes: int | None) -> int:
    """Delete records from the front of a partition, inside the caller's transaction; returns how many, 10,000 at most.

    First those before the first record that is not older than `oldest`, then more until `most_bytes` are left.
    """
    partition = topic.partitions[number]
    rows = database.rows(
        "select offset, timestamp, coalesce(length(key), 0) + coalesce(length(value), 0)"
        f" from {partition.table} where offset >= {partition.first_offset} order by offset limit 10000"
    )
    cutoff = None if oldest is None else pa.scalar(oldest, _STAMP).cast(pa.int64()).as_py()
    left, first = partition.bytes, partition.first_offset
    for offset, stamp, size in rows:
        if not ((cutoff is not None and stamp < cutoff) or (most_bytes is not None and left > most_bytes)):
            break
        left, first = left - size, offset + 1
    if first > partition.first_offset:
        database.execute(f"delete from {partition.table} where offset < {first}")
        database.execute(
            f"update partitions set first_offset = {first}, bytes = {left}"
            f" where topic_number = {topic.number} and partition = {number}"
        )
    return first - partition.first_offset


def _as_records(number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    key, packed, value, absent = batch["key"], batch["headers"], batch["value"], batch["absent"]
    if pc.max(absent).as_py():
        key = pc.if_else(pc.equal(pc.bit_wise_and(absent, 1), 0), key, pa.scalar(None, pa.binary()))
        value = pc.if_else(pc.equal(pc.bit_wise_and(absent, 2), 0), value, pa.scalar(None, pa.binary()))
    plain = pc.max(pc.binary_length(packed)).as_py() == 0
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(len(batch), number, np.int32)),
            batch["offset"],
            batch["timestamp"].cast(_STAMP),
            key,
            pa.nulls(len(batch), HEADERS) if plain else headers.decode(packed),
            value,
        ],
        schema=RECORDS,
    )
