"""The embedded log: topics, partitions, offsets, keys, headers and timestamps like Kafka's, in one SQLite file.

Any number of processes write and read at once (WAL: one writer at a time, readers never wait); what `append` has
returned for is on disk (synchronous = full), and a writer that is killed leaves nothing half. Offsets of a topic
partition begin at 0 and have no gaps; retention takes from the front. Timestamps keep their microseconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipelines.errors import LakehouseError, LogIdentityError, LogRefusedError, LogUnavailableError
from pipelines.log.embedded import tables
from pipelines.log.embedded.sqlite import Database, create
from pipelines.log.fairness import in_turn, shares
from pipelines.log.interface import RECORDS, Polled, TopicState, out_of_range
from pipelines.log.outgoing import assigned, checked, pieces, refuse_larger

PARTITIONS = 4  # of a topic that comes into being by an append
MOST_RECORD_BYTES = 100 * 2**20
POLL_BYTES = 256 * 2**20  # a poll ends early at this many bytes of keys and values, which bounds its memory
_COMMIT_RECORDS, _COMMIT_BYTES = 20_000, 32 * 2**20
_SHORT_NAP, _LONG_NAP = 0.002, 0.025  # between two looks while waiting; the long one costs under 1 % of a core


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class EmbeddedLog:
    """A `Log` over one SQLite file, which only `ensure_topics` and `append` create."""

    def __init__(self, path: Path, topic_prefix: str = "", clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._prefix = topic_prefix
        self._clock = clock
        self._database: Database | None = None
        self._identity = ""
        # by topic: a state of the file, and positions behind which it held nothing
        self._at_end: dict[str, tuple[tuple[int, int], dict[int, int]]] = {}

    @property
    def identity(self) -> str:
        """The log's own id, made with the file."""
        self._open()
        return self._identity

    def ensure_topics(self, topics: Sequence[str], partitions: int = PARTITIONS) -> None:
        """Make the topics that are not there; those that are keep their partitions."""
        if partitions < 1:
            raise LogRefusedError(f"a topic needs at least one partition, not {partitions}")
        database = self._open(make=True)
        if all(tables.find_topic(database, self._prefix + topic) for topic in topics):
            return
        with database.transaction(write=True):
            for topic in topics:
                if tables.find_topic(database, self._prefix + topic) is None:
                    tables.make_topic(database, self._prefix + topic, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """Identity and offsets now."""
        found = self._topic(self._open(), topic)
        return TopicState(
            topic,
            found.topic_id,
            {number: partition.first_offset for number, partition in found.partitions.items()},
            {number: partition.next_offset for number, partition in found.partitions.items()},
        )

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """As `Log.poll`, all from one state of the file. Ends before `max_records` at POLL_BYTES of keys and values."""
        deadline = time.monotonic() + wait
        database, nap = self._open(), _SHORT_NAP
        while True:
            now = (database.version(), dict(positions))  # taken before the look: a commit in between shows next time
            if self._at_end.get(topic) != now:
                if any(self._available(database, topic, positions)[1].values()):
                    return self._read(database, topic, positions, max_records)
                self._at_end[topic] = now
            left = deadline - time.monotonic()
            if left <= 0:
                return Polled(RECORDS.empty_table(), dict(positions))
            time.sleep(min(left, nap))
            nap = min(nap * 1.5, _LONG_NAP)
            if not database.is_current():
                database = self._open()

    def append(self, topic: str, records: pa.Table) -> int:
        """Append in order, in transactions of up to 20,000 records or 32 MiB of keys and values.

        When one of them fails (a full disk), the records of those before it stay and all others are not in the log; the
        error says how many are.
        """
        records = checked(topic, records)
        refuse_larger(topic, records, MOST_RECORD_BYTES, "keep the payload in a file and send where it lies")
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
                        raise LogRefusedError(f"topic {topic} was made anew by another process")
                    tables.insert(database, found, piece, chosen, self._clock())
            except LakehouseError as error:
                if start:
                    raise type(error)(
                        f"{error}; the first {start:,} of {len(records):,} records are in the log"
                    ) from error
                raise
        return len(records)

    def apply_retention(
        self, topic: str, *, max_age: timedelta | None = None, max_bytes: int | None = None, now: datetime
    ) -> int:
        """Delete from the front of each partition what is older than `max_age`, then until keys and values have at most
        `max_bytes`; returns how many records. As in Kafka both hold for a partition, and a record behind a younger one
        stays. The file keeps its size, the space is used again.
        """
        database, removed = self._open(), 0
        oldest = None if max_age is None else now - max_age
        for number in self._topic(database, topic).partitions:
            trimmed = 1
            while trimmed:
                with database.transaction(write=True):
                    trimmed = tables.trim(database, self._topic(database, topic), number, oldest, max_bytes)
                removed += trimmed
        return removed

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with all its records; made anew, it has another id."""
        database = self._open()
        with database.transaction(write=True):
            tables.drop_topic(database, self._topic(database, topic))

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
            self._at_end.clear()

    def _open(self, *, make: bool = False) -> Database:
        """The connection to the file that is at the path now."""
        if self._database is not None and not self._database.is_current():
            self.close()
        if self._database is None:
            if not self.path.exists():
                if not make:
                    raise LogUnavailableError(
                        f"there is no log at {self.path} yet: `animeverse produce` or `animeverse demo` makes it"
                    )
                create(self.path, [*tables.SCHEMA, tables.new_log()])
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
                f"the log {self.path} has no topic {self._prefix}{topic}: `animeverse produce` makes it"
            )
        return found

    def _available(
        self, database: Database, topic: str, positions: Mapping[int, int]
    ) -> tuple[tables.Topic, dict[int, int]]:
        """How many records there are by partition. Raises LogIdentityError for a position that is not in the log."""
        found = self._topic(database, topic)
        available = {}
        for number in in_turn(positions):
            partition = found.partitions.get(number)
            if partition is None:
                raise LogIdentityError(
                    f"topic {topic} has no partition {number}, only 0 to {len(found.partitions) - 1}: "
                    "it is not the topic that was read before"
                )
            available[number] = partition.next_offset - positions[number]
            if not partition.first_offset <= positions[number] <= partition.next_offset:
                raise out_of_range(topic, number, positions[number], partition.first_offset, partition.next_offset)
        return found, available

    def _read(self, database: Database, topic: str, positions: Mapping[int, int], max_records: int) -> Polled:
        parts, following, left = {}, dict(positions), POLL_BYTES
        with database.transaction(write=False):
            found, available = self._available(database, topic, positions)
            wanted = shares(available, max_records)
            for done, (number, count) in enumerate(wanted.items()):
                if count:
                    start, budget = positions[number], left // (len(wanted) - done)
                    parts[number], size = tables.read(database, number, found.partitions[number], start, count, budget)
                    left -= min(size, left)
                    following[number] = start + len(parts[number])
        return Polled(pa.concat_tables([parts[number] for number in sorted(parts)]), following, found.topic_id)
