"""The logs that one suite runs over: embedded, librdkafka's mock broker, and a real broker where there is one."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition  # noqa: TID251
from confluent_kafka.admin import AdminClient  # noqa: TID251

from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.interface import OUTGOING, Log
from pipelines.log.kafka import reader as kafka_reader
from pipelines.log.open import open_log


@dataclass
class Backend:
    """Where a test's logs live, and what only an administrator can do to them."""

    kind: str  # embedded, mock, broker
    url: str
    prefix: str
    opened: list[Log] = field(default_factory=list)

    def open(self, kafka: Mapping[str, str] | None = None, prefix: str | None = None) -> Log:
        """One more open log; closed after the test."""
        log = open_log(self.url, kafka=kafka or {}, topic_prefix=self.prefix if prefix is None else prefix)
        self.opened.append(log)
        return log

    def delete_topic(self, topic: str) -> None:
        if self.kind == "embedded":
            log = self.open()
            assert isinstance(log, EmbeddedLog)
            log.delete_topic(topic)
        else:
            admin = self._admin()
            (done,) = admin.delete_topics([self.prefix + topic]).values()
            done.result()
            time.sleep(0.5)  # the broker goes on deleting after it has said yes

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Take the records before an offset away, as retention does."""
        if self.kind == "embedded":
            log = self.open()
            assert isinstance(log, EmbeddedLog)
            state, size = log.topic_state(topic), 100
            kept = state.end_offsets[partition] - before
            log.apply_retention(topic, max_bytes=kept * size, now=log._clock())
            assert log.topic_state(topic).first_offsets[partition] == before
        else:
            admin = self._admin()  # without a name it would be gone before it had the answer
            (done,) = admin.delete_records([TopicPartition(self.prefix + topic, partition, before)]).values()
            done.result()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.url.removeprefix("kafka://"), "log_level": 0})


@pytest.fixture(scope="session")
def mock_broker() -> Iterator[str]:
    """The address of librdkafka's in-process broker. It keeps 4-5 MB a partition and cannot delete."""
    keeper = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
    (broker,) = keeper.list_topics(timeout=10).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}"
    keeper.flush(0)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll collects the shares of all partitions for as long as it takes: the machine may be slower than 50 ms."""
    monkeypatch.setattr(kafka_reader, "_GATHER", 5.0)


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
def lasting(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every log whose topics can be deleted and whose records can be large."""
    yield from _backend(request.param, request)


@pytest.fixture
def sent() -> Callable[..., pa.Table]:
    """Makes records to send: a list of values, everything else by keyword, one list a column."""

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
