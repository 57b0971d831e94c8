"""The embedded log: topics, partitions, offsets, keys, headers and timestamps as in Kafka, in one SQLite file.

Any number of processes can read and write it at the same time (WAL mode: one writer at a time, readers never wait).
Records are on disk when `append` returns (synchronous = full), and a killed writer leaves no partial transaction.
Offsets of a topic partition begin at 0 and have no gaps. Timestamps keep their microseconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from pipelines.errors import LakehouseError, LogIdentityError, LogRefusedError, LogUnavailableError
from pipelines.log.embedded import tables
from pipelines.log.embedded.sqlite import Database, create_database
from pipelines.log.fairness import rotated, shares
from pipelines.log.interface import RECORDS, Polled, TopicState, out_of_range
from pipelines.log.outgoing import assigned, checked, pieces, refuse_larger

PARTITIONS = 4  # of a topic that `append` creates
MAX_RECORD_BYTES = 100 * 2**20
POLL_BYTES = 256 * 2**20  # of keys and values, at which a poll ends early to bound its memory
_COMMIT_RECORDS, _COMMIT_BYTES = 20_000, 32 * 2**20
_FIRST_INTERVAL, _LAST_INTERVAL = 0.002, 0.025  # seconds between two checks while waiting; the last: < 1 % of a core


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class EmbeddedLog:
    """A `Log` in one SQLite file. Only `ensure_topics` and `append` create the file."""

    def __init__(self, path: Path, topic_prefix: str = "", clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._prefix = topic_prefix
        self._clock = clock
        self._database: Database | None = None
        self._identity = ""
        # By topic: a version of the file, and positions after which it held no record.
        self._at_end: dict[str, tuple[tuple[int, int], dict[int, int]]] = {}

    @property
    def identity(self) -> str:
        """The id that the file got when it was created."""
        self._open()
        return self._identity

    def ensure_topics(self, topics: Sequence[str], partitions: int = PARTITIONS) -> None:
        """Create the missing topics. Existing topics keep their partitions."""
        if partitions < 1:
            raise LogRefusedError(f"a topic needs at least one partition, not {partitions}")
        database = self._open(create=True)
        if all(tables.find_topic(database, self._prefix + topic) for topic in topics):
            return
        with database.transaction(write=True):
            for topic in topics:
                if tables.find_topic(database, self._prefix + topic) is None:
                    tables.create_topic(database, self._prefix + topic, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """Return current identity and offsets."""
        found = self._topic(self._open(), topic)
        return TopicState(
            topic,
            found.topic_id,
            {number: partition.first_offset for number, partition in found.partitions.items()},
            {number: partition.next_offset for number, partition in found.partitions.items()},
        )

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """As `Log.poll`, from one state of the file. Ends before `max_records` at POLL_BYTES of keys and values."""
        deadline = time.monotonic() + wait
        database, interval = self._open(), _FIRST_INTERVAL
        while True:
            version = (database.version(), dict(positions))  # read first: a commit after it changes the next version
            if self._at_end.get(topic) != version:
                if any(self._available(database, topic, positions)[1].values()):
                    return self._read(database, topic, positions, max_records)
                self._at_end[topic] = version
            left = deadline - time.monotonic()
            if left <= 0:
                return Polled(RECORDS.empty_table(), dict(positions))
            time.sleep(min(left, interval))
            interval = min(interval * 1.5, _LAST_INTERVAL)
            if not database.is_current():
                database = self._open()

    def append(self, topic: str, records: pa.Table) -> int:
        """Append in order, in transactions of up to 20,000 records or 32 MiB of keys and values.

        When a transaction fails, for example because the disk is full, the log keeps the records of the earlier ones
        only; the error states their number.
        """
        records = checked(topic, records)
        refuse_larger(topic, records, MAX_RECORD_BYTES, "keep the payload in a file and send its path")
        self.ensure_topics([topic])
        partitions = len(self._topic(self._open(), topic).partitions)
        planned = [
            (start, piece, assigned(topic, piece, partitions, start))
            for start, piece in pieces(records, _COMMIT_RECORDS, _COMMIT_BYTES)
        ]
        for start, piece, chosen in planned:
            try:
                database = self._open()
                with database.transaction(write=True):
                    found = self._topic(database, topic)
                    if len(found.partitions) != partitions:
                        raise LogRefusedError(f"topic {topic} was recreated by another process")
                    tables.insert(database, found, piece, chosen, self._clock())
            except LakehouseError as error:
                if start:
                    raise type(error)(
                        f"{error}; the first {start:,} of {len(records):,} records are in the log"
                    ) from error
                raise
        return len(records)

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
            self._at_end.clear()

    def _open(self, *, create: bool = False) -> Database:
        """Return a connection to the file that is at the path now, reopened if the file was replaced."""
        if self._database is not None and not self._database.is_current():
            self.close()
        if self._database is None:
            if not self.path.exists():
                if not create:
                    raise LogUnavailableError(
                        f"there is no log at {self.path} yet: `animeverse produce` or `animeverse demo` creates it"
                    )
                create_database(self.path, [*tables.SCHEMA, tables.insert_log_id()])
            database = Database(self.path)
            try:
                self._identity = tables.log_id(database)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def _topic(self, database: Database, topic: str) -> tables.Topic:
        found = tables.find_topic(database, self._prefix + topic)
        if found is None:
            raise LogRefusedError(
                f"the log {self.path} has no topic {self._prefix}{topic}: `animeverse produce` creates it"
            )
        return found

    def _available(
        self, database: Database, topic: str, positions: Mapping[int, int]
    ) -> tuple[tables.Topic, dict[int, int]]:
        """Return the number of records after each position. Raises LogIdentityError for an invalid position."""
        found = self._topic(database, topic)
        available = {}
        for number in rotated(positions):
            partition = found.partitions.get(number)
            if partition is None:
                raise LogIdentityError(
                    f"topic {topic} has no partition {number}, only 0 to {len(found.partitions) - 1}: "
                    "the topic is not the one that was read before"
                )
            available[number] = partition.next_offset - positions[number]
            if not partition.first_offset <= positions[number] <= partition.next_offset:
                raise out_of_range(topic, number, positions[number], partition.first_offset, partition.next_offset)
        return found, available

    def _read(self, database: Database, topic: str, positions: Mapping[int, int], max_records: int) -> Polled:
        parts, next_offsets, left = {}, dict(positions), POLL_BYTES
        with database.transaction(write=False):
            found, available = self._available(database, topic, positions)
            counts = shares(available, max_records)
            for done, (number, count) in enumerate(counts.items()):
                if count:
                    start, budget = positions[number], left // (len(counts) - done)
                    parts[number], size = tables.read(database, number, found.partitions[number], start, count, budget)
                    left -= min(size, left)
                    next_offsets[number] = start + len(parts[number])
        return Polled(pa.concat_tables([parts[number] for number in sorted(parts)]), next_offsets, found.topic_id)
