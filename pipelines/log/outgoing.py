"""Records on their way into a log: checked, given a partition, cut into pieces. The same on every log."""

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
    """`records` with exactly the columns of OUTGOING. Raises LogRefusedError naming the first record that no log takes.

    Nothing has been sent by then: a refusal here leaves the log as it was.
    """
    missing = [name for name in OUTGOING.names if name not in records.column_names]
    if missing:
        raise LogRefusedError(
            f"records for topic {topic} need the columns {', '.join(OUTGOING.names)}; there is no {missing[0]}"
        )
    try:
        records = records.select(OUTGOING.names).cast(OUTGOING)
    except pa.ArrowInvalid as error:
        raise LogRefusedError(f"records for topic {topic} do not have the types of a log record: {error}") from error
    row = _first(pc.less(records["timestamp"], EARLIEST))
    if row is not None:
        stamp = records["timestamp"][row].as_py().isoformat()
        raise LogRefusedError(
            f"record {row} for topic {topic} has the timestamp {stamp}: a log cannot hold times before 1970-01-01; "
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
                f"record {start + row} for topic {topic} has {sizes[row]:,} bytes, the most is {most:,}: {advice}"
            )
        start += len(sizes)


def assigned(topic: str, batch: pa.RecordBatch, partitions: int, start: int) -> npt.NDArray[np.int32]:
    """The partition of each record: the one it asks for, else murmur2 of its key, else of its value.

    `start` is the number of the batch's first record, for the message of LogRefusedError.
    """
    wanted, keys = batch["partition"], batch["key"]
    if wanted.null_count == len(batch) and not keys.null_count:
        return partitions_of(keys, partitions)
    hashed = keys if not keys.null_count else pc.coalesce(keys, batch["value"])
    chosen = partitions_of(hashed, partitions) if wanted.null_count else np.zeros(len(batch), np.int32)
    if wanted.null_count < len(batch):
        row = _first(pc.or_(pc.less(wanted, 0), pc.greater_equal(wanted, partitions)))
        if row is not None:
            raise LogRefusedError(
                f"record {start + row} asks for partition {wanted[row].as_py()} of topic {topic}, "
                f"which has the partitions 0 to {partitions - 1}"
            )
        given = wanted.is_valid().to_numpy(zero_copy_only=False)
        chosen[given] = wanted.drop_null().to_numpy()
    return chosen


def byte_sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of key and value of each record."""
    sizes = np.zeros(len(batch), np.int64)
    for name in ("key", "value"):
        sizes += pc.binary_length(batch[name]).fill_null(0).to_numpy()
    return sizes


def pieces(records: pa.Table, most_records: int, most_bytes: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Consecutive pieces of the table, each with the number of its first record.

    A piece has at most `most_records` records and, unless it is a single one, at most `most_bytes` of key and value.
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
    """The records, where every header has a name."""
    start = 0
    for chunk in records["headers"].chunks:
        nameless = _first(pc.list_flatten(chunk).field("key").is_null()) if chunk.null_count < len(chunk) else None
        if nameless is not None:
            row = pc.list_parent_indices(chunk)[nameless].as_py()
            raise LogRefusedError(f"record {start + row} for topic {topic} has a header without a name")
        start += len(chunk)
    return records


def _first(mask: pa.ChunkedArray | pa.Array) -> int | None:
    """The number of the first true element; nulls are not true."""
    row = pc.index(mask, pa.scalar(True)).as_py()
    return None if row < 0 else row
