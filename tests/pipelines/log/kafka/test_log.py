"""What only a broker has: transactions, sizes, absence and return. test_every_log.py tests what all logs share."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer  # noqa: TID251
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: TID251

from pipelines.errors import LogRefusedError, LogUnavailableError, SettingsError
from pipelines.log.interface import Log
from pipelines.log.kafka import client as kafka_client
from pipelines.log.kafka.records import as_records
from pipelines.log.open import open_log

Sent = Callable[..., pa.Table]
START = {0: 0, 1: 0, 2: 0, 3: 0}


@pytest.fixture
def opened() -> Iterator[Callable[..., Log]]:
    """Return a function that opens logs; they are closed after the test."""
    logs: list[Log] = []

    def open_(url: str, kafka: dict[str, str] | None = None, prefix: str = "") -> Log:
        logs.append(open_log(url, kafka=kafka or {}, topic_prefix=prefix))
        return logs[-1]

    yield open_
    for log in logs:
        log.close()


def _transactional(url: str, prefix: str) -> Producer:
    settings: dict[str, Any] = {
        "bootstrap.servers": url.removeprefix("kafka://"),
        "transactional.id": f"{prefix}writer",
        "log_level": 0,
    }
    producer = Producer(settings)
    producer.init_transactions(20)
    return producer


@pytest.mark.broker
def test_only_committed_records_are_read_and_transaction_markers_are_skipped(
    kafka_url: str, topic_prefix: str, opened
) -> None:
    log = opened(kafka_url, prefix=topic_prefix)
    log.ensure_topics(["t"], partitions=1)
    producer = _transactional(kafka_url, topic_prefix)
    for number, end in enumerate((producer.commit_transaction, producer.abort_transaction) * 2):
        producer.begin_transaction()
        producer.produce(f"{topic_prefix}t", b"%d" % number, partition=0)
        producer.flush(10)
        end(10)
    positions, values = {0: 0}, []
    while positions != log.topic_state("t").end_offsets:
        polled = log.poll("t", positions, 1, wait=1.0)
        values += polled.records["value"].to_pylist()
        positions = polled.next_offsets
    assert values == [b"0", b"2"]
    assert positions == {0: 8}
    started = time.monotonic()
    assert log.poll("t", positions, 10).next_offsets == positions
    assert time.monotonic() - started < 1


@pytest.mark.broker
def test_records_after_an_open_transaction_are_hidden_until_it_ends(kafka_url: str, topic_prefix: str, opened) -> None:
    log = opened(kafka_url, prefix=topic_prefix)
    log.ensure_topics(["t"], partitions=1)
    producer = _transactional(kafka_url, topic_prefix)
    producer.begin_transaction()
    producer.produce(f"{topic_prefix}t", b"held", partition=0)
    producer.flush(10)
    assert log.topic_state("t").end_offsets == {0: 0}
    for wait in (0.0, 0.3):
        assert not len(log.poll("t", {0: 0}, 10, wait).records)
    producer.commit_transaction(10)
    assert log.poll("t", {0: 0}, 10, wait=2.0).records["value"].to_pylist() == [b"held"]


@pytest.mark.broker
def test_a_record_of_ten_megabytes_is_sent_if_the_settings_allow_it(
    kafka_url: str, topic_prefix: str, opened, sent: Sent
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_url.removeprefix("kafka://"), "log_level": 0})
    large = {"max.message.bytes": "20000000"}
    for future in admin.create_topics([NewTopic(f"{topic_prefix}t", num_partitions=4, config=large)]).values():
        future.result()
    value = bytes(range(256)) * 40_000
    log = opened(kafka_url, {"message.max.bytes": "20000000", "compression.type": "none"}, topic_prefix)
    log.append("t", sent([value] * 3 + [b"small"], partition=[0, 0, 1, 1]))
    positions, found = START, []
    while positions != {**START, 0: 2, 1: 2}:
        polled = log.poll("t", positions, 10, wait=5.0)
        found += polled.records["value"].to_pylist()
        positions = polled.next_offsets
    assert sorted(found, key=len) == [b"small"] + [value] * 3


def test_a_record_over_the_limit_is_refused_by_number_before_any_is_sent(mock_broker, topic_prefix, opened, sent: Sent):
    log = opened(mock_broker, prefix=topic_prefix)
    log.ensure_topics(["t"])
    with pytest.raises(LogRefusedError, match=r"record 2 .*1,000,001 bytes.*message\.max\.bytes"):
        log.append("t", sent([b"", b"x", b"x" * 1_000_001]))
    assert set(log.topic_state("t").end_offsets.values()) == {0}


@pytest.mark.broker
def test_a_record_that_the_broker_refuses_is_named_with_the_reason(kafka_url, topic_prefix, opened, sent: Sent) -> None:
    log = opened(kafka_url, {"message.max.bytes": "20000000", "compression.type": "none"}, topic_prefix)
    log.append("t", sent([b"before"], partition=[0]))
    with pytest.raises(LogRefusedError, match=r"record 1 .*too large.*2 of 3 records were acknowledged"):
        log.append("t", sent([b"first", b"x" * 3_000_000, b"last"], partition=[0, 1, 2]))
    assert log.append("t", sent([b"after"], partition=[0])) == 1
    assert log.poll("t", {0: 0}, 10).records["value"].to_pylist() == [b"before", b"first", b"after"]


def test_a_record_that_the_client_refuses_is_named_and_earlier_ones_stay(mock_broker, topic_prefix, opened, sent):
    log = opened(mock_broker, prefix=topic_prefix)
    values = [b"x" * 10] * 3 + [b"x" * 999_990] + [b"y"]  # with its overhead it exceeds the limit
    with pytest.raises(LogRefusedError, match=r"record 3 .*too large.*3 of 5 records were acknowledged, 1 failed"):
        log.append("t", sent(values, partition=[1] * 5))
    assert log.topic_state("t").end_offsets[1] == 3


@pytest.mark.slow
def test_an_absent_broker_is_named_within_ten_seconds(opened, sent: Sent) -> None:
    log = opened("kafka://127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(LogUnavailableError, match=r"127\.0\.0\.1:1.*Connection refused"):
        log.append("t", sent([b"v"]))
    assert time.monotonic() - started < 10


@pytest.mark.broker
@pytest.mark.slow
def test_a_log_continues_without_loss_when_its_broker_returns(
    own_broker, opened, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(own_broker.url)
    log.append("t", sent([b"%d" % n for n in range(1000)], partition=[n % 4 for n in range(1000)]))
    positions = log.poll("t", START, 400).next_offsets
    own_broker.kill()
    with monkeypatch.context() as patched:
        patched.setattr(kafka_client, "REQUEST_TIMEOUT", 1.5)
        for call in (
            lambda: log.topic_state("t"),
            lambda: log.append("t", sent([b"v"])),
            lambda: log.poll("t", START, 1),
        ):
            with pytest.raises(LogUnavailableError):
                call()
    own_broker.start()
    rest = log.poll("t", positions, 10_000, wait=5.0)
    assert len(rest.records) == 600
    log.append("t", sent([b"again"], partition=[0]))
    assert log.poll("t", rest.next_offsets, 10, wait=5.0).records["value"].to_pylist() == [b"again"]


@pytest.mark.broker
@pytest.mark.slow
def test_a_waiting_poll_notices_that_the_broker_is_gone(
    own_broker, opened, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_client, "REQUEST_TIMEOUT", 4.0)
    log = opened(own_broker.url)
    log.append("t", sent([b"v"], partition=[0]))
    end = log.poll("t", START, 10).next_offsets
    own_broker.kill()
    with pytest.raises(LogUnavailableError, match=own_broker.url.removeprefix("kafka://")):
        log.poll("t", end, 10, wait=60.0)


def test_an_unknown_kafka_setting_is_named(opened) -> None:
    with pytest.raises(SettingsError, match=r"no\.such\.thing"):
        _ = opened("kafka://127.0.0.1:1", {"no.such.thing": "1"}).identity
    with pytest.raises(SettingsError, match=r"message\.max\.bytes"):
        opened("kafka://127.0.0.1:1", {"message.max.bytes": "many"})


def test_nothing_is_ever_committed_to_a_consumer_group(mock_broker: str, topic_prefix: str, opened, sent: Sent) -> None:
    log = opened(mock_broker, {"group.id": f"{topic_prefix}group"}, topic_prefix)
    log.append("t", sent([b"v"] * 4, partition=[0, 1, 2, 3]))
    log.poll("t", START, 10)
    log.close()
    again = opened(mock_broker, {"group.id": f"{topic_prefix}group"}, topic_prefix)
    assert len(again.poll("t", START, 10).records) == 4


class _Message:
    """A message of confluent-kafka. If a header's name is not UTF-8, `headers` raises SystemError."""

    def __init__(self, offset: int, headers: Any, millis: int = 1_700_000_000_123) -> None:
        self._offset, self._headers, self._millis = offset, headers, millis

    def headers(self) -> Any:
        if self._headers is SystemError:
            self._headers = "a second call crashes the process"
            raise SystemError("<method 'headers'> returned a result with an exception set")
        return self._headers

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (self._offset, self._millis)  # kind 0 is TIMESTAMP_NOT_AVAILABLE

    def key(self) -> bytes | None:
        return None

    value = key


def test_headers_that_the_client_cannot_read_are_replaced_by_a_marker() -> None:
    messages = [_Message(0, None), _Message(1, SystemError), _Message(2, [("ok", b"")])]
    found = as_records(3, messages).to_pylist()
    assert [row["headers"] for row in found] == [
        None,
        [{"key": "animeverse-unreadable-headers", "value": None}],
        [{"key": "ok", "value": b""}],
    ]


def test_a_record_without_a_timestamp_gets_null() -> None:
    found = as_records(3, [_Message(0, None), _Message(1, None)])["timestamp"].to_pylist()
    assert found == [None, datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)]


def test_a_timestamp_outside_the_calendar_is_null() -> None:
    millis = [-1, 253_402_300_799_999, 253_402_300_800_000, 2**63 - 1]
    found = as_records(3, [_Message(1, None, value) for value in millis])["timestamp"].cast("int64").to_pylist()
    assert found == [None, 253_402_300_799_999_000, None, None]
