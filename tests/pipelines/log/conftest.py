"""The logs that one suite runs over: embedded, librdkafka's mock broker, and a real broker if there is one."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition  # noqa: TID251
from confluent_kafka.admin import AdminClient  # noqa: TID251

from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.interface import OUTGOING, Log
from pipelines.log.kafka import reader as kafka_reader
from pipelines.log.open import open_log
from tests.pipelines.embedded_admin import apply_retention, delete_topic


@dataclass
class Backend:
    """The address of a test's logs, and what only an administrator can do to them."""

    kind: str  # embedded, mock, broker
    url: str
    prefix: str
    opened: list[Log] = field(default_factory=list)

    def open(self, kafka: Mapping[str, str] | None = None, prefix: str | None = None) -> Log:
        """Open another connection, closed after the test."""
        log = open_log(self.url, kafka=kafka or {}, topic_prefix=self.prefix if prefix is None else prefix)
        self.opened.append(log)
        return log

    def delete_topic(self, topic: str) -> None:
        if self.kind == "embedded":
            delete_topic(self.path, self.prefix + topic)
        else:
            admin = self._admin()
            (done,) = admin.delete_topics([self.prefix + topic]).values()
            done.result()
            time.sleep(0.5)  # the broker continues to delete after its answer

    def truncate(self, topic: str, partition: int, before: int) -> None:
        """Delete the records before an offset, as retention does."""
        if self.kind == "embedded":
            log, record_bytes = self.open(), 100
            kept = log.topic_state(topic).end_offsets[partition] - before
            apply_retention(self.path, self.prefix + topic, max_bytes=kept * record_bytes, now=datetime.now(UTC))
            assert log.topic_state(topic).first_offsets[partition] == before
        else:
            admin = self._admin()  # keeps the client alive until the answer
            (done,) = admin.delete_records([TopicPartition(self.prefix + topic, partition, before)]).values()
            done.result()

    @property
    def path(self) -> Path:
        """The file of the embedded log."""
        log = self.open()
        assert isinstance(log, EmbeddedLog)
        return log.path

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.url.removeprefix("kafka://"), "log_level": 0})


@pytest.fixture(scope="session")
def mock_broker() -> Iterator[str]:
    """The address of librdkafka's in-process broker. It holds 4-5 MB a partition and cannot delete."""
    keeper = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
    (broker,) = keeper.list_topics(timeout=10).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}"
    keeper.flush(0)


@pytest.fixture(autouse=True)
def long_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a poll collect the shares of all partitions, also on a machine that needs more than 50 ms for it."""
    monkeypatch.setattr(kafka_reader, "GATHER_SECONDS", 5.0)


def _backend(kind: str, request: pytest.FixtureRequest) -> Iterator[Backend]:
    fixture = {"embedded": "embedded_url", "mock": "mock_broker", "broker": "kafka_url"}[kind]
    backend = Backend(kind, request.getfixturevalue(fixture), request.getfixturevalue("topic_prefix"))
    yield backend
    for log in backend.opened:
        log.close()


@pytest.fixture(params=["embedded", "mock", pytest.param("broker", marks=pytest.mark.broker)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every log."""
    yield from _backend(request.param, request)


@pytest.fixture(params=["embedded", pytest.param("broker", marks=pytest.mark.broker)])
def durable_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every log whose topics can be deleted, unlike those of the mock broker."""
    yield from _backend(request.param, request)


@pytest.fixture
def sent() -> Callable[..., pa.Table]:
    """Return a function that builds records to send from a list of values and, by keyword, other columns."""

    def make(values: list[bytes | None], **columns: list[Any]) -> pa.Table:
        given = {"value": values, **columns}
        arrays = [
            pa.array(given[name], OUTGOING.field(name).type)
            if name in given
            else pa.nulls(len(values), OUTGOING.field(name).type)
            for name in OUTGOING.names
        ]
        return pa.Table.from_arrays(arrays, schema=OUTGOING)

    return make
