"""Administrative requests to a broker (topics, offsets), client creation, and translation of Kafka's errors.

librdkafka's own log is off (property `log_level` = 0); errors that it reports become part of our messages.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from pipelines.errors import LakehouseError, LogRefusedError, LogUnavailableError, SettingsError
from pipelines.log.kafka.error_codes import CREDENTIALS, FORBIDDEN, MISSING, is_transient

REQUEST_TIMEOUT = 6.0  # seconds for the broker to answer
_BLOCKING_SECONDS = 1.0  # in one call that Ctrl-C does not interrupt
_NO_TOPIC_ID = ("AAAAAAAAAAAAAAAAAAAAAA", "None")  # 16 zero bytes: the broker is older than topic ids (KIP-516)

T = TypeVar("T")


class NoTopicError(LogRefusedError):
    """The broker does not have the topic."""


@dataclass(frozen=True, slots=True)
class Described:
    """The id and partitions of a topic on the broker."""

    topic_id: str
    partitions: tuple[int, ...]


class KafkaClient:
    """One broker address with its properties. `failing` is set while librdkafka reports that no broker answers."""

    def __init__(self, servers: str, settings: Mapping[str, str]) -> None:
        self.servers = servers
        self.failing = False
        self._settings = dict(settings)
        self._last_error: KafkaError | None = None  # that librdkafka reported
        self._admin: AdminClient | None = None
        self._is_mock: bool | None = None  # librdkafka's in-process broker, which creates topics on request

    def make(self, kind: Callable[[dict[str, Any]], T], defaults: Mapping[str, Any], fixed: Mapping[str, Any]) -> T:
        """Create a client. The user's properties override `defaults`; `fixed` overrides both. Raises SettingsError."""
        common = {
            "client.id": "animeverse",
            "log_level": 0,
            "reconnect.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": 5000,
        }
        own = {"bootstrap.servers": self.servers, "error_cb": self._on_error}
        try:
            return kind({**common, **defaults, **self._settings, **fixed, **own})
        except (KafkaException, ValueError, TypeError) as error:
            raise SettingsError(
                f"librdkafka does not accept a Kafka setting (ANIMEVERSE_KAFKA_*): {_reason(error)}"
            ) from error

    def setting(self, name: str, default: int) -> int:
        """Return an integer property of the user. Raises SettingsError if its value is not an integer."""
        try:
            return int(self._settings.get(name, default))
        except ValueError as error:
            raise SettingsError(
                f"the Kafka setting {name} must be a whole number, not {self._settings[name]!r}"
            ) from error

    def cluster_id(self) -> str:
        """Request the cluster's id."""
        return str(self._metadata(self.deadline()).cluster_id)

    def topics(self) -> set[str]:
        """Request the names of all topics that this user may see."""
        return set(self._metadata(self.deadline()).topics)

    def describe(self, topic: str, deadline: float) -> Described:
        """Request the topic's id and partitions. Raises NoTopicError if it does not exist.

        For a broker without topic ids (before KIP-516, and librdkafka's mock broker), the id is made of cluster and
        name: a recreated topic then differs only in its offsets.
        """

        def request(timeout: float) -> Described:
            (future,) = self.admin.describe_topics(TopicCollection([topic]), request_timeout=timeout).values()
            description = future.result()
            return Described(str(description.topic_id), tuple(sorted(part.id for part in description.partitions)))

        if self._is_mock is None:
            self._metadata(deadline)
        if not self._is_mock:
            described = self.retry(f"describe topic {topic}", request, deadline, topic)
            if described.topic_id not in _NO_TOPIC_ID:
                return described
        metadata = self._metadata(deadline)
        if topic not in metadata.topics:
            raise self._no_topic(topic)
        return Described(f"{metadata.cluster_id}/{topic}", tuple(sorted(metadata.topics[topic].partitions)))

    def offsets(self, topic: str, partitions: Iterable[int], deadline: float) -> tuple[dict[int, int], dict[int, int]]:
        """Request first offset and end offset (of committed records) by partition."""
        requested = [TopicPartition(topic, partition) for partition in partitions]
        committed = IsolationLevel.READ_COMMITTED

        def request(timeout: float) -> tuple[dict[int, int], dict[int, int]]:
            answers = [
                self.admin.list_offsets(
                    dict.fromkeys(requested, spec), isolation_level=committed, request_timeout=timeout
                )
                for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
            ]
            first, end = (
                {part.partition: future.result().offset for part, future in answer.items()} for answer in answers
            )
            return first, end

        offsets = self.retry(f"list offsets of topic {topic}", request, deadline, topic)
        self.failing = False
        return offsets

    def create_topics(self, topics: list[str], partitions: int) -> None:
        """Create missing topics, and wait until they can be used. Raises LogRefusedError if the broker refuses."""
        deadline = self.deadline()
        if self._is_mock is None:
            self._metadata(deadline)
        if self._is_mock:
            for topic in topics:
                self.admin.list_topics(topic, timeout=REQUEST_TIMEOUT)
        else:
            created: Mapping[str, Future[None]] = self.admin.create_topics(
                [NewTopic(topic, num_partitions=partitions) for topic in topics], request_timeout=self._left(deadline)
            )
            for future in created.values():
                try:
                    future.result()
                except KafkaException as error:
                    if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                        continue
                    if error.args[0].code() in FORBIDDEN:
                        raise self._creation_refused(topics, partitions, error) from error
                    raise self.translate_error("create topics", error) from error
        for topic in topics:
            self._wait_for_topic(topic, deadline)

    @property
    def admin(self) -> AdminClient:
        """The admin client, created on first use."""
        if self._admin is None:
            self._admin = self.make(AdminClient, {}, {})
        return self._admin

    def deadline(self) -> float:
        """Return the monotonic time at which a request that begins now times out."""
        return time.monotonic() + REQUEST_TIMEOUT

    def translate_error(self, action: str, error: KafkaException | KafkaError, topic: str = "") -> LakehouseError:
        """Return our error for an error of librdkafka. `action` completes "cannot …" in its message."""
        cause = error.args[0] if isinstance(error, KafkaException) else error
        if self._credentials_refused() and self._last_error is not None:
            return LogRefusedError(
                f"the broker {self.servers} refused the credentials: {self._last_error.str()}; "
                "check ANIMEVERSE_KAFKA_SASL_*"
            )
        if cause.code() in MISSING and topic:
            return self._no_topic(topic)
        if cause.code() in FORBIDDEN:
            return LogRefusedError(f"the broker {self.servers} refused to {action}: {cause.str()}")
        why = f" ({self._last_error.str()})" if self._last_error is not None else ""
        settings = ", ".join(sorted(self._settings)) or "none"
        return LogUnavailableError(
            f"cannot {action}: no broker answers at {self.servers}: {cause.str()}{why}; "
            f"check that it is running, its address, and its settings (ANIMEVERSE_KAFKA_*; given: {settings})"
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.failing = True
        else:
            self._last_error = error

    def _credentials_refused(self) -> bool:
        """Whether the broker refused the credentials: a retry cannot succeed."""
        if self._admin is not None:
            self._admin.poll(0)  # calls _on_error
        return self._last_error is not None and self._last_error.code() in CREDENTIALS

    def _left(self, deadline: float) -> float:
        return max(0.1, deadline - time.monotonic())

    def _metadata(self, deadline: float) -> Any:
        # A request for one topic by name would make the broker create it.
        metadata = self.retry(
            "read the list of topics",
            lambda timeout: self.admin.list_topics(timeout=min(timeout, _BLOCKING_SECONDS)),
            deadline,
        )
        self._last_error = None
        self._is_mock = str(metadata.cluster_id).startswith("mockCluster")
        return metadata

    def retry(self, action: str, request: Callable[[float], T], deadline: float, topic: str = "") -> T:
        """Repeat a request, which takes a timeout, during transient errors (leader election, a new topic)."""
        while True:
            try:
                return request(self._left(deadline))
            except KafkaException as error:
                if not is_transient(error.args[0]) or self._credentials_refused() or time.monotonic() > deadline - 0.2:
                    raise self.translate_error(action, error, topic) from error
            time.sleep(0.1)

    def _wait_for_topic(self, topic: str, deadline: float) -> None:
        while True:
            try:
                self.offsets(topic, self.describe(topic, deadline).partitions, deadline)
                return
            except NoTopicError:
                if time.monotonic() > deadline - 0.2:
                    raise
            time.sleep(0.05)

    def _no_topic(self, topic: str) -> NoTopicError:
        return NoTopicError(
            f"the broker {self.servers} has no topic {topic}, or this user may not see it: "
            f"create it (`rpk topic create {topic}`) or check ANIMEVERSE_TOPIC_PREFIX"
        )

    def _creation_refused(self, topics: list[str], partitions: int, error: KafkaException) -> LogRefusedError:
        return LogRefusedError(
            f"the broker {self.servers} does not let this user create the missing topics {', '.join(topics)} "
            f"({error.args[0].str()}); have them created: `rpk topic create -p {partitions} {' '.join(topics)}`, "
            f"or each by `kafka-topics.sh --bootstrap-server {self.servers} --create --partitions {partitions} --topic`"
        )


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
