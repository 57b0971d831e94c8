"""What a broker lets us do and what time it is there, asked without leaving anything behind."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, Producer, TopicCollection  # noqa: TID251
from confluent_kafka.admin import AclOperation, NewTopic  # type: ignore[attr-defined]  # noqa: TID251

from pipelines.errors import LogUnavailableError
from pipelines.log.kafka.client import KafkaClient

if TYPE_CHECKING:
    from pipelines.config.settings import Settings

_LOG_APPEND_TIME = 2
_WAIT = 4.0  # seconds


class NotMeasuredError(Exception):
    """The broker does not let us look at its clock, or does not answer."""


def _client(settings: "Settings") -> KafkaClient:
    return KafkaClient(settings.log_url.removeprefix("kafka://"), settings.kafka)


def refused_making(settings: "Settings", names: Sequence[str]) -> str | None:
    """Why these topics may not be made; None: they may. Nothing is made."""
    wanted = [NewTopic(name, num_partitions=settings.partitions) for name in names]
    for future in _client(settings).admin.create_topics(wanted, request_timeout=_WAIT, validate_only=True).values():
        try:
            future.result()
        except KafkaException as error:
            return str(error.args[0].str())
    return None


def withheld(settings: "Settings", names: Sequence[str]) -> list[str]:
    """What this user may not do with topics that are there; nothing where the broker does not tell."""
    if not names:
        return []
    asked = _client(settings).admin.describe_topics(
        TopicCollection(list(names)), include_authorized_operations=True, request_timeout=_WAIT
    )
    found = []
    for name, future in asked.items():
        try:
            allowed = future.result().authorized_operations
        except KafkaException as error:
            raise LogUnavailableError(f"cannot describe topic {name}: {error.args[0].str()}") from error
        wanted = {"read": AclOperation.READ, "write": AclOperation.WRITE}
        found += [f"{verb} {name}" for verb, operation in wanted.items() if allowed and operation not in allowed]
    return found


def ahead_of_broker(settings: "Settings") -> float:
    """Seconds by which our clock is ahead of the broker's, from the time it stamps on a record of a topic of its own.

    Raises NotMeasuredError. The topic is deleted again.
    """
    client = _client(settings)
    client.cluster_id()
    name = f"{settings.topic_prefix}animeverse-doctor-{uuid.uuid4().hex[:12]}"
    with _topic(client, name):
        told: list[tuple[float, int]] = []

        def delivered(error: Any, message: Any) -> None:
            kind, stamp = message.timestamp() if error is None else (0, 0)
            if kind == _LOG_APPEND_TIME:
                told.append((time.time(), stamp))

        producer = client.make(Producer, {"linger.ms": 0}, {})
        sent = 0.0
        for _ in range(2):  # the first finds its way; the second tells the time
            sent = time.time()
            producer.produce(name, b"what time is it?", on_delivery=delivered)
            producer.flush(_WAIT)
        if len(told) < 2:
            producer.purge()
            raise NotMeasuredError("the broker did not stamp a record in time")
        came, stamp = told[-1]
        return (sent + came) / 2 - stamp / 1000


@contextmanager
def _topic(client: KafkaClient, name: str) -> Iterator[None]:
    new = NewTopic(name, num_partitions=1, config={"message.timestamp.type": "LogAppendTime"})
    try:
        for future in client.admin.create_topics([new], request_timeout=_WAIT).values():
            future.result()
    except KafkaException as error:
        raise NotMeasuredError(f"a topic for it may not be made ({error.args[0].str()})") from error
    try:
        yield
    finally:
        deleting = client.admin.delete_topics([name], request_timeout=_WAIT, operation_timeout=_WAIT)
        refused = None
        for future in deleting.values():
            try:
                future.result()
            except KafkaException as error:
                refused = error
        if refused is not None:
            with suppress(KafkaException):
                reason = refused.args[0].str()
            raise NotMeasuredError(f"topic {name} could not be deleted again ({reason}): delete it")
