"""What a log contains and what it must contain after a world is published."""

from collections import defaultdict

from pipelines.contracts.registry import TOPICS
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.partitioner import partitions_of
from producers.world import World

Content = dict[tuple[str, int], list[tuple[object, object, object]]]


def content_of(log: EmbeddedLog) -> Content:
    """Return timestamp, key and value of each record, by topic and partition."""
    found: Content = defaultdict(list)
    for topic in TOPICS:
        records = log.poll(topic, log.topic_state(topic).first_offsets, 100_000).records
        for row in records.to_pylist():
            found[topic, row["partition"]].append((row["timestamp"], row["key"], row["value"]))
    return found


def expected_content(world: World, topics: tuple[str, ...] = TOPICS) -> Content:
    """Return the records of a world, by topic and partition."""
    found: Content = defaultdict(list)
    for batch in world.batches():
        if batch.topic in topics:
            partitions = partitions_of(batch.records["key"].combine_chunks(), 4).tolist()
            for partition, row in zip(partitions, batch.records.to_pylist(), strict=True):
                found[batch.topic, partition].append((row["timestamp"], row["key"], row["value"]))
    return found
