"""What every log can do. Records travel as Arrow tables of `RECORDS`; nothing here knows a broker or a file format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from pipelines.errors import LogIdentityError

HEADERS = pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))

# Times a record may have: after 1970, as Kafka reads 0 ms as "now" and -1 as "none", and before the year 10000.
EARLIEST_MICROS, LATEST_MICROS = 1_000, 253_402_300_799_999_999

# One row a record, as the log delivers it. The timestamp is null where the log has none between these two.
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

# One row a record to send. A null partition means: by murmur2 of the key, or of the value where the key is null.
# A null timestamp means: now, by the log's clock.
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
    """What the log holds of one topic: its identity and, by partition, the first offset held and the end offset."""

    topic: str
    topic_id: str  # changes when the topic is deleted and made anew
    first_offsets: Mapping[int, int]
    end_offsets: Mapping[int, int]  # the offset the next record will get; read_committed on Kafka


@dataclass(frozen=True, slots=True)
class Polled:
    """Records of one topic, in (partition, offset) order, and where to read on.

    `next_offsets` holds every partition asked for; it may lie beyond the last record + 1 where offsets have holes.
    `topic_id` is that of the topic read, where the log knows it without asking.
    """

    records: pa.Table  # schema RECORDS
    next_offsets: Mapping[int, int]
    topic_id: str | None = None


class Log(Protocol):
    """One open connection to a log. Use it from one thread; close it when done.

    Every method raises LogUnavailableError (with the address tried) when the log cannot be reached within 10 s,
    LogRefusedError when it says no.
    """

    @property
    def identity(self) -> str:
        """The cluster id, or the embedded log's own id: two logs never share one."""

    def ensure_topics(self, topics: Sequence[str], partitions: int = 4) -> None:
        """Make the topics that are not there. Raises LogRefusedError naming what is missing where it may not."""

    def topic_state(self, topic: str) -> TopicState:
        """Identity and offsets now. Raises LogRefusedError where the topic does not exist."""

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """At most `max_records` records from `positions` (partition -> offset to read next) on, shared fairly among
        the partitions. Returns what is there; with nothing there, waits at most `wait` seconds for the first record.

        Raises LogIdentityError when a position lies before the first offset held or beyond the end.
        """

    def append(self, topic: str, records: pa.Table) -> int:
        """Append records (schema OUTGOING) in order; returns how many once all are durable (acks=all / fsync).

        Raises LogRefusedError naming the first record refused; those acknowledged before it stay in the log.
        """

    def close(self) -> None:
        """Let go of everything held."""


def out_of_range(topic: str, partition: int, position: int, first: int, end: int) -> LogIdentityError:
    """The error for a position that the log does not hold, saying what is lost."""
    if position < first:
        found = f"the log begins at {first}: {first - position:,} records are gone, by retention or with the topic"
    else:
        found = f"the log ends at {end}: it is shorter than what was read, so another topic or a restored one"
    return LogIdentityError(
        f"topic {topic}, partition {partition}: cannot read on from offset {position}, {found}"
        f" (first offset {first}, end offset {end})"
    )
