"""Which partition number a record has in bronze, when its topic was not always the same topic.

A place (partition, offset) means one record for ever: quarantine, lineage, releases and `verify` rely on it. A topic
that is deleted and made anew, or restored from an older copy, counts its offsets anew. So each such *incarnation* of a
topic has partition numbers of its own: partition p of incarnation n is n x 100,000 + p in bronze and everywhere above;
the first, number 0, is as the log has it. To the fold they are what they are: partitions that nobody has seen before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.log.interface import Log, Polled, TopicState

STRIDE = 100_000  # more partitions than any topic has


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One topic that a bronze table was read from. `begins` is the first offset by log partition that is its own; what
    lies before was read under an earlier number. A partition without an entry begins at 0."""

    number: int
    log_id: str | None
    topic_id: str | None
    begins: Mapping[int, int]

    def to_dict(self) -> dict[str, Any]:
        """For a snapshot's summary."""
        begins = {str(partition): offset for partition, offset in sorted(self.begins.items())}
        return {"number": self.number, "log": self.log_id, "topic": self.topic_id, "begins": begins}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Incarnation":
        """What `to_dict` gave."""
        begins = {int(partition): int(offset) for partition, offset in found["begins"].items()}
        return cls(found["number"], found["log"], found["topic"], begins)

    def in_bronze(self, partition: int) -> int:
        """Bronze's number of a partition of the log."""
        return self.number * STRIDE + partition

    def owns(self, partition: int) -> bool:
        """Whether a partition number of bronze is one of this incarnation's; those of files are nobody's."""
        return partition >= 0 and partition // STRIDE == self.number


def in_log(partition: int) -> int:
    """The log's number of a bronze partition; files stay -1."""
    return partition % STRIDE if partition >= 0 else partition


class RenumberedLog:
    """A log as bronze numbers its partitions: every number that goes in or comes out is bronze's. A `Log` itself."""

    def __init__(self, log: Log, incarnations: Mapping[str, Incarnation]) -> None:
        self._log = log
        self._incarnations = {topic: found for topic, found in incarnations.items() if found.number}

    @property
    def identity(self) -> str:
        """As the log's."""
        return self._log.identity

    def ensure_topics(self, topics: Sequence[str], partitions: int = 4) -> None:
        """As the log's."""
        self._log.ensure_topics(topics, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """As the log's; offsets of an earlier incarnation are not held."""
        state = self._log.topic_state(topic)
        own = self._incarnations.get(topic)
        if own is None:
            return state
        first = {own.in_bronze(p): max(offset, own.begins.get(p, 0)) for p, offset in state.first_offsets.items()}
        end = {own.in_bronze(p): offset for p, offset in state.end_offsets.items()}
        return TopicState(topic, state.topic_id, first, end)

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """As the log's."""
        own = self._incarnations.get(topic)
        if own is None:
            return self._log.poll(topic, positions, max_records, wait)
        asked = {in_log(partition): offset for partition, offset in positions.items()}
        polled = self._log.poll(topic, asked, max_records, wait)
        moved = pc.add(polled.records.column("partition"), pa.scalar(own.number * STRIDE, pa.int32()))
        records = polled.records.set_column(0, polled.records.schema.field(0), moved)
        following = {own.in_bronze(partition): offset for partition, offset in polled.next_offsets.items()}
        return Polled(records, following, polled.topic_id)

    def append(self, topic: str, records: pa.Table) -> int:
        """As the log's; records are sent to the log partition that a bronze number stands for."""
        chosen = pa.array(
            [None if p is None else in_log(p) for p in records.column("partition").to_pylist()], pa.int32()
        )
        index = records.schema.get_field_index("partition")
        return self._log.append(topic, records.set_column(index, records.schema.field(index), chosen))

    def close(self) -> None:
        """As the log's."""
        self._log.close()
