"""The interface of a log, and the Arrow schemas of the records it delivers and takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from pipelines.errors import LogIdentityError

HEADERS = pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))

# Bounds of a record's timestamp: after 1970, since Kafka reads 0 ms as "now" and -1 as "none", and before year 10000.
EARLIEST_MICROS, LATEST_MICROS = 1_000, 253_402_300_799_999_999

# One row per record that a log delivers. The timestamp is null if the record has none within the bounds.
RECORDS = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
    ]
)

# One row per record to send. A null partition is replaced by murmur2 of the key, or of the value if the key is null;
# a null timestamp by the log's current time.
OUTGOING = pa.schema(
    [
        pa.field("partition", pa.int32()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("headers", HEADERS),
        pa.field("value", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True)
class TopicState:
    """The identity of one topic and its offsets by partition."""

    topic: str
    topic_id: str  # changes when the topic is deleted and recreated
    first_offsets: Mapping[int, int]  # of the oldest record that the log holds
    end_offsets: Mapping[int, int]  # of the next record to be written; on Kafka, read_committed


@dataclass(frozen=True, slots=True)
class Polled:
    """Records of one topic, in (partition, offset) order, and the offsets to read next.

    `next_offsets` has every requested partition; where offsets have holes, it may be greater than the last record's
    offset + 1. `topic_id` is None if the log would need another request for it.
    """

    records: pa.Table  # schema RECORDS
    next_offsets: Mapping[int, int]
    topic_id: str | None = None


class Log(Protocol):
    """One open connection to a log. Use it from one thread; close it when done.

    Every method raises LogUnavailableError, with the address, if the log cannot be reached within 10 s, and
    LogRefusedError if the log refuses the request.
    """

    @property
    def identity(self) -> str:
        """The cluster id, or the id of the embedded log. No two logs share one."""

    def ensure_topics(self, topics: Sequence[str], partitions: int = 4) -> None:
        """Create the missing topics. Raises LogRefusedError with their names if the log refuses to create them."""

    def topic_state(self, topic: str) -> TopicState:
        """Return current identity and offsets. Raises LogRefusedError if the topic does not exist."""

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """Return at most `max_records` records from `positions` (partition -> next offset) on, shared fairly among the
        partitions. If there are none, waits at most `wait` seconds for the first one.

        Raises LogIdentityError if a position is before the first offset or after the end offset.
        """

    def append(self, topic: str, records: pa.Table) -> int:
        """Append records (schema OUTGOING) in order; returns their number once all are durable (acks=all or fsync).

        Raises LogRefusedError naming the first refused record; records acknowledged before it stay in the log.
        """

    def close(self) -> None:
        """Close all connections."""


def out_of_range(topic: str, partition: int, position: int, first: int, end: int) -> LogIdentityError:
    """Return the error for a position that the log does not hold, with the number of lost records."""
    if position < first:
        reason = f"the log begins at {first}: {first - position:,} records are gone, by retention or with the topic"
    else:
        reason = f"the log ends at {end}, before what was read: the topic was replaced or restored"
    return LogIdentityError(
        f"topic {topic}, partition {partition}: cannot read on from offset {position}, {reason}"
        f" (first offset {first}, end offset {end})"
    )
