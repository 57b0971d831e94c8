"""Prepares records for any log: validates them, assigns partitions, splits them into pieces."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import LogRefusedError
from pipelines.log.interface import EARLIEST_MICROS, LATEST_MICROS, OUTGOING
from pipelines.log.partitioner import partitions_of

EARLIEST, LATEST = (
    pa.scalar(micros, pa.int64()).cast(pa.timestamp("us", tz="UTC")) for micros in (EARLIEST_MICROS, LATEST_MICROS)
)


def checked(topic: str, records: pa.Table) -> pa.Table:
    """Return `records` with exactly the columns of OUTGOING.

    Raises LogRefusedError naming the first record that no log accepts; nothing has been sent then.
    """
    missing = [name for name in OUTGOING.names if name not in records.column_names]
    if missing:
        raise LogRefusedError(
            f"records for topic {topic} need the columns {', '.join(OUTGOING.names)}; {missing[0]} is missing"
        )
    try:
        records = records.select(OUTGOING.names).cast(OUTGOING)
    except pa.ArrowInvalid as error:
        raise LogRefusedError(f"records for topic {topic} do not have the types of a log record: {error}") from error
    row = _first(pc.less(records["timestamp"], EARLIEST))
    if row is not None:
        timestamp = records["timestamp"][row].as_py().isoformat()
        raise LogRefusedError(
            f"record {row} for topic {topic} has the timestamp {timestamp}: a log cannot hold times before 1970-01-01; "
            "leave it null for the time of arrival"
        )
    row = _first(pc.greater(records["timestamp"], LATEST))
    if row is not None:
        raise LogRefusedError(
            f"record {row} for topic {topic} has a timestamp after the year 9999: leave it null for the time of arrival"
        )
    return _with_named_headers(topic, records)


def refuse_larger(topic: str, records: pa.Table, most: int, advice: str) -> None:
    """Raise LogRefusedError naming the first record whose key and value together have more than `most` bytes."""
    start = 0
    for batch in records.to_batches():
        sizes = byte_sizes(batch)
        if sizes.max(initial=0) > most:
            row = int(np.argmax(sizes > most))
            raise LogRefusedError(
                f"record {start + row} for topic {topic} has {sizes[row]:,} bytes, the maximum is {most:,}: {advice}"
            )
        start += len(sizes)


def assigned(topic: str, batch: pa.RecordBatch, partitions: int, start: int) -> npt.NDArray[np.int32]:
    """Return the partition of each record: the requested one, else murmur2 of its key, else of its value.

    Raises LogRefusedError for a partition that the topic does not have; `start` is the number of the batch's first
    record in the message.
    """
    requested, keys = batch["partition"], batch["key"]
    if requested.null_count == len(batch) and not keys.null_count:
        return partitions_of(keys, partitions)
    hashed = keys if not keys.null_count else pc.coalesce(keys, batch["value"])
    chosen = partitions_of(hashed, partitions) if requested.null_count else np.zeros(len(batch), np.int32)
    if requested.null_count < len(batch):
        row = _first(pc.or_(pc.less(requested, 0), pc.greater_equal(requested, partitions)))
        if row is not None:
            raise LogRefusedError(
                f"record {start + row} asks for partition {requested[row].as_py()} of topic {topic}, "
                f"which has the partitions 0 to {partitions - 1}"
            )
        has_request = requested.is_valid().to_numpy(zero_copy_only=False)
        chosen[has_request] = requested.drop_null().to_numpy()
    return chosen


def byte_sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return the bytes of key and value of each record."""
    sizes = np.zeros(len(batch), np.int64)
    for name in ("key", "value"):
        sizes += pc.binary_length(batch[name]).fill_null(0).to_numpy()
    return sizes


def pieces(records: pa.Table, most_records: int, most_bytes: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield consecutive pieces of the table, each with the number of its first record.

    A piece has at most `most_records` records and, unless it is a single record, at most `most_bytes` of key and value.
    """
    start = 0
    for batch in records.to_batches():
        ends = np.cumsum(byte_sizes(batch))
        row = 0
        while row < len(batch):
            before = int(ends[row - 1]) if row else 0
            by_bytes = int(np.searchsorted(ends, before + most_bytes, side="right"))
            end = min(max(by_bytes, row + 1), row + most_records, len(batch))
            yield start + row, batch.slice(row, end - row)
            row = end
        start += len(batch)


def _with_named_headers(topic: str, records: pa.Table) -> pa.Table:
    """Return the records. Raises LogRefusedError for a header without a name."""
    start = 0
    for chunk in records["headers"].chunks:
        nameless = _first(pc.list_flatten(chunk).field("key").is_null()) if chunk.null_count < len(chunk) else None
        if nameless is not None:
            row = pc.list_parent_indices(chunk)[nameless].as_py()
            raise LogRefusedError(f"record {start + row} for topic {topic} has a header without a name")
        start += len(chunk)
    return records


def _first(mask: pa.ChunkedArray | pa.Array) -> int | None:
    """Return the number of the first true element, or None. Nulls are not true."""
    row = pc.index(mask, pa.scalar(True)).as_py()
    return None if row < 0 else row
