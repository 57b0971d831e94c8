"""Checks of `animeverse doctor` against a broker: permissions and clock. They leave nothing on the broker."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AclOperation, NewTopic  # type: ignore[attr-defined]

from pipelines.errors import LogUnavailableError
from pipelines.log.kafka.client import KafkaClient

_LOG_APPEND_TIME = 2
_TIMEOUT_SECONDS = 4.0


class NotMeasuredError(Exception):
    """The broker's clock cannot be read: the broker refuses the probe or does not answer."""


def topic_creation_refusal(
    servers: str, properties: Mapping[str, str], topics: Sequence[str], partitions: int
) -> str | None:
    """Return why the broker refuses to create these topics, or None if it allows it. Creates nothing."""
    new = [NewTopic(topic, num_partitions=partitions) for topic in topics]
    admin = KafkaClient(servers, properties).admin
    for future in admin.create_topics(new, request_timeout=_TIMEOUT_SECONDS, validate_only=True).values():
        try:
            future.result()
        except KafkaException as error:
            return str(error.args[0].str())
    return None


def denied_operations(servers: str, properties: Mapping[str, str], topics: Sequence[str]) -> list[str]:
    """Return the operations on existing topics that this user lacks, as `read <topic>` and `write <topic>`.

    The list is empty for a broker that does not report permissions. Raises LogUnavailableError.
    """
    if not topics:
        return []
    described = KafkaClient(servers, properties).admin.describe_topics(
        TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=_TIMEOUT_SECONDS
    )
    required = {"read": AclOperation.READ, "write": AclOperation.WRITE}
    denied = []
    for topic, future in described.items():
        try:
            allowed = future.result().authorized_operations
        except KafkaException as error:
            raise LogUnavailableError(f"cannot describe topic {topic}: {error.args[0].str()}") from error
        denied += [f"{verb} {topic}" for verb, operation in required.items() if allowed and operation not in allowed]
    return denied


def clock_offset(servers: str, properties: Mapping[str, str], topic_prefix: str) -> float:
    """Return the seconds by which this machine's clock is ahead of the broker's.

    Sends two records to a temporary topic, which the broker timestamps. Raises NotMeasuredError.
    """
    client = KafkaClient(servers, properties)
    client.cluster_id()
    name = f"{topic_prefix}animeverse-doctor-{uuid.uuid4().hex[:12]}"
    with _temporary_topic(client, name):
        acknowledged: list[tuple[float, int]] = []  # local time in seconds, broker's timestamp in milliseconds

        def on_delivery(error: Any, message: Any) -> None:
            kind, timestamp = message.timestamp() if error is None else (0, 0)
            if kind == _LOG_APPEND_TIME:
                acknowledged.append((time.time(), timestamp))

        producer = client.make(Producer, {"linger.ms": 0}, {})
        sent_at = 0.0
        for _ in range(2):  # the first record opens the connection, the second is measured
            sent_at = time.time()
            producer.produce(name, b"what time is it?", on_delivery=on_delivery)
            producer.flush(_TIMEOUT_SECONDS)
        if len(acknowledged) < 2:
            producer.purge()
            raise NotMeasuredError("the broker did not timestamp a record in time")
        acknowledged_at, timestamp = acknowledged[-1]
        return (sent_at + acknowledged_at) / 2 - timestamp / 1000


@contextmanager
def _temporary_topic(client: KafkaClient, name: str) -> Iterator[None]:
    new = NewTopic(name, num_partitions=1, config={"message.timestamp.type": "LogAppendTime"})
    try:
        for future in client.admin.create_topics([new], request_timeout=_TIMEOUT_SECONDS).values():
            future.result()
    except KafkaException as error:
        raise NotMeasuredError(f"the broker refuses a temporary topic ({error.args[0].str()})") from error
    try:
        yield
    finally:
        deleted = client.admin.delete_topics(
            [name], request_timeout=_TIMEOUT_SECONDS, operation_timeout=_TIMEOUT_SECONDS
        )
        failure = None
        for future in deleted.values():
            try:
                future.result()
            except KafkaException as error:
                failure = error
        if failure is not None:
            with suppress(KafkaException):
                reason = failure.args[0].str()
            raise NotMeasuredError(f"the temporary topic {name} could not be deleted ({reason}): delete it")
