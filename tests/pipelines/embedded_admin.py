"""Retention and deletion of topics in an embedded log, which the product itself never does."""

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipelines.log.embedded import tables
from pipelines.log.embedded.sqlite import Database


def apply_retention(
    path: Path, topic: str, *, max_age: timedelta | None = None, max_bytes: int | None = None, now: datetime
) -> int:
    """Delete records older than `max_age` from the front of each partition, then more until keys and values have at
    most `max_bytes`; return their number.

    As in Kafka, both limits apply to a partition, and a record behind a younger one stays.
    """
    oldest = None if max_age is None else now - max_age
    with closing(Database(path)) as database:
        return sum(_trim(database, topic, number, oldest, max_bytes) for number in _topic(database, topic).partitions)


def delete_topic(path: Path, topic: str) -> None:
    """Delete a topic with all its records."""
    with closing(Database(path)) as database, database.transaction(write=True):
        found = _topic(database, topic)
        for partition in found.partitions.values():
            database.execute(f"drop table {partition.table}")
        database.execute(f"delete from partitions where topic_number = {found.number}")
        database.execute(f"delete from topics where topic_number = {found.number}")


def _topic(database: Database, topic: str) -> tables.Topic:
    found = tables.find_topic(database, topic)
    assert found is not None
    return found


def _trim(database: Database, topic: str, number: int, oldest: datetime | None, max_bytes: int | None) -> int:
    with database.transaction(write=True):
        found = _topic(database, topic)
        partition = found.partitions[number]
        rows = database.rows(
            "select offset, timestamp, coalesce(length(key), 0) + coalesce(length(value), 0)"
            f" from {partition.table} where offset >= {partition.first_offset} order by offset"
        )
        cutoff = None if oldest is None else pa.scalar(oldest, pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py()
        left, first = partition.bytes, partition.first_offset
        for offset, timestamp, size in rows:
            is_old = cutoff is not None and timestamp < cutoff
            if not is_old and (max_bytes is None or left <= max_bytes):
                break
            left, first = left - size, offset + 1
        database.execute(f"delete from {partition.table} where offset < {first}")
        database.execute(
            f"update partitions set first_offset = {first}, bytes = {left}"
            f" where topic_number = {found.number} and partition = {number}"
        )
        return first - partition.first_offset
