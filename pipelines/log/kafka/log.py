"""The log on a broker that speaks Kafka's protocol: Redpanda, Apache Kafka or any other.

Where to read is the caller's business alone: no consumer group, no commit. Topics carry `topic_prefix` on the broker.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipelines.errors import LogRefusedError
from pipelines.log.interface import Polled, TopicState
from pipelines.log.kafka.client import KafkaClient, NoTopicError
from pipelines.log.kafka.reader import TopicReader
from pipelines.log.kafka.writer import Writer
from pipelines.log.outgoing import checked

PARTITIONS = 4


class KafkaLog:
    """A `Log` at one broker address. A broker that was away and is back is used again by the same object."""

    def __init__(self, servers: str, settings: Mapping[str, str], topic_prefix: str = "") -> None:
        self._client = KafkaClient(servers, settings)
        self._prefix = topic_prefix
        self._writer = Writer(self._client)
        self._readers: dict[str, TopicReader] = {}

    @property
    def identity(self) -> str:
        """The cluster's id. Asks the broker."""
        return self._client.cluster_id()

    def ensure_topics(self, topics: Sequence[str], partitions: int = PARTITIONS) -> None:
        """Make the topics that are not there; those that are keep their partitions."""
        if partitions < 1:
            raise LogRefusedError(f"a topic needs at least one partition, not {partitions}")
        there = self._client.topics()
        missing = [self._prefix + topic for topic in topics if self._prefix + topic not in there]
        if missing:
            self._client.create_topics(missing, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """Identity and offsets now."""
        name, deadline = self._prefix + topic, self._client.deadline()
        described = self._client.describe(name, deadline)
        first, end = self._client.offsets(name, described.partitions, deadline)
        return TopicState(topic, described.topic_id, first, end)

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """As `Log.poll`. An empty answer to `wait` = 0 means that the broker said so after the call began."""
        name = self._prefix + topic
        if name not in self._readers:
            self._readers[name] = TopicReader(self._client, name)
        return self._readers[name].poll(positions, max_records, wait)

    def append(self, topic: str, records: pa.Table) -> int:
        """Append in order within each partition; timestamps are cut to milliseconds.

        When a record is refused, others that were under way may be in the log, also ones after it.
        """
        records = checked(topic, records)
        name = self._prefix + topic
        try:
            described = self._client.describe(name, self._client.deadline())
        except NoTopicError:
            self.ensure_topics([topic])
            described = self._client.describe(name, self._client.deadline())
        return self._writer.append(name, records, len(described.partitions))

    def close(self) -> None:
        """Let go of all connections."""
        self._writer.close()
        for reader in self._readers.values():
            reader.close()
        self._readers = {}
