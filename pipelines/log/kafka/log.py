"""The log on a broker that implements Kafka's protocol: Redpanda, Apache Kafka or another one.

The caller keeps the read positions: there is no consumer group and no commit. On the broker, topic names begin with
`topic_prefix`.
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
    """A `Log` at one broker address. It continues to work when an unreachable broker returns."""

    def __init__(self, servers: str, settings: Mapping[str, str], topic_prefix: str = "") -> None:
        self._client = KafkaClient(servers, settings)
        self._prefix = topic_prefix
        self._writer = Writer(self._client)
        self._readers: dict[str, TopicReader] = {}

    @property
    def identity(self) -> str:
        """The cluster's id, requested from the broker."""
        return self._client.cluster_id()

    def ensure_topics(self, topics: Sequence[str], partitions: int = PARTITIONS) -> None:
        """Create the missing topics. Existing topics keep their partitions."""
        if partitions < 1:
            raise LogRefusedError(f"a topic needs at least one partition, not {partitions}")
        existing = self._client.topics()
        missing = [self._prefix + topic for topic in topics if self._prefix + topic not in existing]
        if missing:
            self._client.create_topics(missing, partitions)

    def topic_state(self, topic: str) -> TopicState:
        """Return current identity and offsets."""
        name, deadline = self._prefix + topic, self._client.deadline()
        described = self._client.describe(name, deadline)
        first, end = self._client.offsets(name, described.partitions, deadline)
        return TopicState(topic, described.topic_id, first, end)

    def poll(self, topic: str, positions: Mapping[int, int], max_records: int, wait: float = 0.0) -> Polled:
        """As `Log.poll`. With `wait` = 0, an empty result was confirmed by the broker after the call began."""
        name = self._prefix + topic
        if name not in self._readers:
            self._readers[name] = TopicReader(self._client, name)
        return self._readers[name].poll(positions, max_records, wait)

    def append(self, topic: str, records: pa.Table) -> int:
        """Append in order within each partition; timestamps are truncated to milliseconds.

        When a record is refused, others that were in flight may be in the log, also later ones.
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
        """Close all connections."""
        self._writer.close()
        for reader in self._readers.values():
            reader.close()
        self._readers = {}
