"""Partition numbers in bronze of a topic that was recreated or restored.

A record is identified by (partition, offset) permanently: quarantine, lineage, releases and `verify` rely on it. A
topic that was deleted and recreated, or restored from an older copy, starts counting offsets again. Each such
*incarnation* of a topic therefore has its own partition numbers: partition p of incarnation n is n x 100,000 + p in
bronze and all later layers. Incarnation 0 keeps the log's numbers. Watermarks treat the numbers of a new incarnation as
new partitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.log.interface import Log, Polled, TopicState

STRIDE = 100_000  # greater than the number of partitions of any topic


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One topic that a bronze table was read from.

    `begins` maps each partition of the log to the first offset that was read under this incarnation's number; 0 if
    absent.
    """

    number: int
    log_id: str | None
    topic_id: str | None
    begins: Mapping[int, int]

    def to_dict(self) -> dict[str, Any]:
        """The form in a snapshot's summary."""
        begins = {str(partition): offset for partition, offset in sorted(self.begins.items())}
        return {"number": self.number, "log": self.log_id, "topic": self.topic_id, "begins": begins}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Incarnation":
        """The incarnation that `to_dict` stored."""
        begins = {int(partition): int(offset) for partition, offset in stored["begins"].items()}
        return cls(stored["number"], stored["log"], stored["topic"], begins)

    def in_bronze(self, partition: int) -> int:
        """The number in bronze of a partition of the log."""
        return self.number * STRIDE + partition

    def owns(self, partition: int) -> bool:
        """Whether the number in bronze belongs to this incarnation; -1, of landing files, belongs to none."""
        return partition >= 0 and partition // STRIDE == self.number


def in_log(partition: int) -> int:
    """The log's number of a partition of bronze; landing files keep -1."""
    return partition % STRIDE if partition >= 0 else partition


class RenumberedLog:
    """A `Log` whose partitions have bronze's numbers, in arguments and in results."""

    def __init__(self, log: Log, incarnations: Mapping[str, Incarnation]) -> None:
        self._log = log
        self._incarnations = {topic: one for topic, one in incarnations.items() if one.number}

    @property
    def identity(self) -> str:
        """See `Log.identity`."""
        return self._log.identity

    def ensure_topics(self, topics: Sequence[str], partitions: int = 4) -> None:
        """See `Log.ensure_topics`."""
        self._log.ensure_topics(topics, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """See `Log.topic_state`. The first offsets exclude offsets of earlier incarnations."""
        state = self._log.topic_state(topic)
        own = self._incarnations.get(topic)
        if own is None:
            return state
        first = {own.in_bronze(p): max(offset, own.begins.get(p, 0)) for p, offset in state.first_offsets.items()}
        end = {own.in_bronze(p): offset for p, offset in state.end_offsets.items()}
        return TopicState(topic, state.topic_id, first, end)

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """See `Log.poll`."""
        own = self._incarnations.get(topic)
        if own is None:
            return self._log.poll(topic, positions, max_records, wait)
        log_positions = {in_log(partition): offset for partition, offset in positions.items()}
        polled = self._log.poll(topic, log_positions, max_records, wait)
        numbers = pc.add(polled.records.column("partition"), pa.scalar(own.number * STRIDE, pa.int32()))
        records = polled.records.set_column(0, polled.records.schema.field(0), numbers)
        next_offsets = {own.in_bronze(partition): offset for partition, offset in polled.next_offsets.items()}
        return Polled(records, next_offsets, polled.topic_id)

    def append(self, topic: str, records: pa.Table) -> int:
        """See `Log.append`. Numbers of bronze are translated to partitions of the log."""
        chosen = pa.array(
            [None if p is None else in_log(p) for p in records.column("partition").to_pylist()], pa.int32()
        )
        index = records.schema.get_field_index("partition")
        return self._log.append(topic, records.set_column(index, records.schema.field(index), chosen))

    def close(self) -> None:
        """See `Log.close`."""
        self._log.close()
