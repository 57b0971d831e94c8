"""The broker as an administrator sees it: settings, topics, offsets, and failures told in our errors.

librdkafka's own log is off (`log_level` = 0, a setting); what it reports as an error ends in the text of ours.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from pipelines.errors import LakehouseError, LogRefusedError, LogUnavailableError, SettingsError
from pipelines.log.kafka.error_codes import CREDENTIALS, FORBIDDEN, MISSING, is_passing

PATIENCE = 6.0  # seconds in which the broker has to answer
_BLOCK = 1.0  # seconds in one call that does not hear Ctrl-C
_NO_TOPIC_ID = ("AAAAAAAAAAAAAAAAAAAAAA", "None")  # 16 zero bytes: the broker is older than topic ids (KIP-516)

T = TypeVar("T")


class NoTopicError(LogRefusedError):
    """The broker does not have the topic."""


@dataclass(frozen=True, slots=True)
class Described:
    """A topic on the broker."""

    topic_id: str
    partitions: tuple[int, ...]


class KafkaClient:
    """One broker address with its settings. `failing` is set while librdkafka reports that no broker answers."""

    def __init__(self, servers: str, settings: Mapping[str, str]) -> None:
        self.servers = servers
        self.failing = False
        self._settings = dict(settings)
        self._said: KafkaError | None = None  # what librdkafka last reported
        self._admin: AdminClient | None = None
        self._is_mock: bool | None = None  # librdkafka's in-process broker, which makes topics when asked for them

    def make(self, kind: Callable[[dict[str, Any]], T], defaults: Mapping[str, Any], fixed: Mapping[str, Any]) -> T:
        """A producer, consumer or admin client: `defaults`, over them the user's settings, over them `fixed`."""
        common = {
            "client.id": "animeverse",
            "log_level": 0,
            "reconnect.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": 5000,
        }
        always = {"bootstrap.servers": self.servers, "error_cb": self._on_error}
        try:
            return kind({**common, **defaults, **self._settings, **fixed, **always})
        except (KafkaException, ValueError, TypeError) as error:
            raise SettingsError(
                f"a Kafka setting (ANIMEVERSE_KAFKA_*) is not one that librdkafka takes: {_reason(error)}"
            ) from error

    def setting(self, name: str, default: int) -> int:
        """A whole number among the user's settings. Raises SettingsError when it is none."""
        try:
            return int(self._settings.get(name, default))
        except ValueError as error:
            raise SettingsError(f"the Kafka setting {name} is a whole number, not {self._settings[name]!r}") from error

    def cluster_id(self) -> str:
        """The id of the cluster that answers now."""
        return str(self._metadata(self.deadline()).cluster_id)

    def topics(self) -> set[str]:
        """Names of all topics that this user may see."""
        return set(self._metadata(self.deadline()).topics)

    def describe(self, topic: str, deadline: float) -> Described:
        """The topic's id and partitions. Raises NoTopicError where it does not exist.

        A broker without topic ids (before KIP-516, and librdkafka's mock, which cannot describe) gives a text of
        cluster and name: there a topic that was made anew shows by its offsets only.
        """

        def ask(left: float) -> Described:
            (answer,) = self.admin.describe_topics(TopicCollection([topic]), request_timeout=left).values()
            found = answer.result()
            return Described(str(found.topic_id), tuple(sorted(part.id for part in found.partitions)))

        if self._is_mock is None:
            self._metadata(deadline)
        if not self._is_mock:
            described = self.ask(f"describe topic {topic}", ask, deadline, topic)
            if described.topic_id not in _NO_TOPIC_ID:
                return described
        metadata = self._metadata(deadline)
        if topic not in metadata.topics:
            raise self._no_topic(topic)
        return Described(f"{metadata.cluster_id}/{topic}", tuple(sorted(metadata.topics[topic].partitions)))

    def offsets(self, topic: str, partitions: Iterable[int], deadline: float) -> tuple[dict[int, int], dict[int, int]]:
        """First offset held and end offset (of what is committed) by partition."""
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        committed = IsolationLevel.READ_COMMITTED

        def ask(left: float) -> tuple[dict[int, int], dict[int, int]]:
            asked = [
                self.admin.list_offsets(dict.fromkeys(wanted, spec), isolation_level=committed, request_timeout=left)
                for spec in (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]
            ]
            first, end = ({part.partition: future.result().offset for part, future in a.items()} for a in asked)
            return first, end

        found = self.ask(f"list offsets of topic {topic}", ask, deadline, topic)
        self.failing = False
        return found

    def create_topics(self, topics: list[str], partitions: int) -> None:
        """Make topics that are not there, and wait until they can be used."""
        deadline = self.deadline()
        if self._is_mock is None:
            self._metadata(deadline)
        if self._is_mock:
            for topic in topics:
                self.admin.list_topics(topic, timeout=PATIENCE)
        else:
            made: Mapping[str, Future[None]] = self.admin.create_topics(
                [NewTopic(topic, num_partitions=partitions) for topic in topics], request_timeout=self._left(deadline)
            )
            for future in made.values():
                try:
                    future.result()
                except KafkaException as error:
                    if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                        continue
                    if error.args[0].code() in FORBIDDEN:
                        raise self._not_made(topics, partitions, error) from error
                    raise self.told("make topics", error) from error
        for topic in topics:
            self._until_there(topic, deadline)

    @property
    def admin(self) -> AdminClient:
        """The administrator's connection."""
        if self._admin is None:
            self._admin = self.make(AdminClient, {}, {})
        return self._admin

    def deadline(self) -> float:
        """When the broker has to have answered what is asked now."""
        return time.monotonic() + PATIENCE

    def told(self, doing: str, error: KafkaException | KafkaError, topic: str = "") -> LakehouseError:
        """The error for what librdkafka says."""
        cause = error.args[0] if isinstance(error, KafkaException) else error
        if self._is_refused() and self._said is not None:
            return LogRefusedError(
                f"the broker {self.servers} refused the credentials: {self._said.str()}; check ANIMEVERSE_KAFKA_SASL_*"
            )
        if cause.code() in MISSING and topic:
            return self._no_topic(topic)
        if cause.code() in FORBIDDEN:
            return LogRefusedError(f"the broker {self.servers} refused to {doing}: {cause.str()}")
        why = f" ({self._said.str()})" if self._said is not None else ""
        settings = ", ".join(sorted(self._settings)) or "none"
        return LogUnavailableError(
            f"cannot {doing}: no broker answers at {self.servers}: {cause.str()}{why}; "
            f"is it running, is the address right, does it want other settings (ANIMEVERSE_KAFKA_*; given: {settings})?"
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.failing = True
        else:
            self._said = error

    def _is_refused(self) -> bool:
        """Whether the broker took offence at the credentials; asking again would not help."""
        if self._admin is not None:
            self._admin.poll(0)  # lets it say why
        return self._said is not None and self._said.code() in CREDENTIALS

    def _left(self, deadline: float) -> float:
        return max(0.1, deadline - time.monotonic())

    def _metadata(self, deadline: float) -> Any:
        # Asking for one topic by name would make the broker create it.
        found = self.ask(
            "read the list of topics", lambda left: self.admin.list_topics(timeout=min(left, _BLOCK)), deadline
        )
        self._said = None
        self._is_mock = str(found.cluster_id).startswith("mockCluster")
        return found

    def ask(self, doing: str, ask: Callable[[float], T], deadline: float, topic: str = "") -> T:
        """Ask again while the broker says that it will know later (leader election, a topic just made)."""
        while True:
            try:
                return ask(self._left(deadline))
            except KafkaException as error:
                if not is_passing(error.args[0]) or self._is_refused() or time.monotonic() > deadline - 0.2:
                    raise self.told(doing, error, topic) from error
            time.sleep(0.1)

    def _until_there(self, topic: str, deadline: float) -> None:
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
            f"make it (`rpk topic create {topic}`) or check ANIMEVERSE_TOPIC_PREFIX"
        )

    def _not_made(self, topics: list[str], partitions: int, error: KafkaException) -> LogRefusedError:
        return LogRefusedError(
            f"the broker {self.servers} does not let this user make the missing topics {', '.join(topics)} "
            f"({error.args[0].str()}); have them made: `rpk topic create -p {partitions} {' '.join(topics)}`, "
            f"or each by `kafka-topics.sh --bootstrap-server {self.servers} --create --partitions {partitions} --topic`"
        )


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
