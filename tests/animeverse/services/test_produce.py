import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from animeverse.services.produce import Request, Sent, parse_faults, produce
from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.errors import UsageError
from pipelines.log.open import open_log
from producers.data_faults import DataFaults


def _send(settings: Settings, **options: object) -> Sent:
    return produce(settings, Request(**{"topics": TOPICS, **options}), threading.Event())  # type: ignore[arg-type]


def _records(settings: Settings, topic: str) -> pa.Table:
    log = open_log(settings.log_url)
    try:
        ends = log.topic_state(topic).end_offsets
        return log.poll(topic, dict.fromkeys(ends, 0), 1_000_000).records
    finally:
        log.close()


def test_a_count_without_a_rate_sends_that_many_recent_events(settings: Settings) -> None:
    assert _send(settings, count=300, seed=7) == Sent(300, 7, is_all=True)
    records = [_records(settings, topic) for topic in TOPICS]
    assert sum(table.num_rows for table in records) == 300
    moments = [moment for table in records for moment in table["timestamp"].to_pylist()]
    assert max(moments) - min(moments) < timedelta(minutes=2)
    assert datetime.now(UTC) - min(moments) < timedelta(days=1, minutes=2)


def test_the_same_seed_generates_the_same_bytes(settings: Settings, tmp_path: Path) -> None:
    other = load_settings(home=tmp_path / "other")
    for home in (settings, other):
        _send(home, topics=["cinema-sales"], count=50, seed=3)
    assert _records(settings, "cinema-sales").equals(_records(other, "cinema-sales"))


class Messages:
    """A reporter that keeps the messages and the last progress."""

    def __init__(self) -> None:
        self.said, self.done = list[str](), 0

    def say(self, message: str) -> None:
        self.said.append(message)

    def update(self, name: str, done: int, total: int | None = None) -> None:
        self.done = done


def test_a_random_seed_is_reported_with_the_progress(settings: Settings) -> None:
    reporter = Messages()
    sent = produce(settings, Request(["anime-schedule"], count=1), threading.Event(), reporter)
    assert len(reporter.said) == 1
    assert f"--seed {sent.seed}" in reporter.said[0]
    assert reporter.done == 1


def test_a_history_covers_the_given_days(settings: Settings) -> None:
    sent = _send(settings, events=400, days=3, start=datetime(2026, 3, 1, tzinfo=UTC).date(), seed=1)
    assert sent.is_all
    moments = [moment for topic in TOPICS for moment in _records(settings, topic)["timestamp"].to_pylist()]
    assert len(moments) == sent.records
    assert datetime(2026, 3, 1, tzinfo=UTC) <= min(moments)
    assert max(moments) < datetime(2026, 3, 4, tzinfo=UTC)


def test_an_interrupted_history_continues_and_sends_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    request = Request(TOPICS, events=30_000, days=20, seed=1)
    stopped = threading.Event()
    stopped.set()
    assert not produce(settings, request, stopped).is_all
    assert produce(settings, request, threading.Event()).is_all
    other = load_settings(home=tmp_path / "other")
    produce(other, request, threading.Event())
    for topic in TOPICS:
        assert _records(settings, topic)["value"].equals(_records(other, topic)["value"])


def test_an_unknown_partition_is_a_usage_error(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "sales.ndjson"
    file.write_text("{}\n")
    with pytest.raises(UsageError, match="--partition 4: pos-transactions has the partitions 0 to 3"):
        _send(settings, topics=["pos-transactions"], file=str(file), partition=4)


def test_a_file_is_sent_byte_for_byte_to_the_given_partition(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"transaction_id":"T"}\r\n\nbroken \xff\n')
    assert _send(settings, topics=["pos-transactions"], file=str(file), partition=2).records == 2
    records = _records(settings, "pos-transactions")
    assert records["value"].to_pylist() == [b'{"transaction_id":"T"}', b"broken \xff"]
    assert records["key"].to_pylist() == [b"T", None]
    assert records["partition"].to_pylist() == [2, 2]


def test_a_file_must_exist_and_needs_one_topic(settings: Settings) -> None:
    with pytest.raises(UsageError, match="one --topic"):
        _send(settings, file="events.ndjson")
    with pytest.raises(UsageError, match=r"--file nowhere\.ndjson"):
        _send(settings, topics=["cinema-sales"], file="nowhere.ndjson")


def test_data_faults_are_parsed_from_shares() -> None:
    assert parse_faults([], clean=False) == DataFaults()
    assert parse_faults([], clean=True) == DataFaults.none()
    assert parse_faults(["late=0.25", "too-late = 0.1"], clean=True).late == 0.25
    for wrong in ("late", "lat=0.1", "late=much", "late=2"):
        with pytest.raises(UsageError, match="--faults"):
            parse_faults([wrong], clean=False)


def test_a_file_may_be_a_pipe(settings: Settings, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    assert _send(settings, topics=["cinema-sales"], file=str(pipe)).records == 2
    writer.join()


def test_live_events_stopped_before_their_count_are_incomplete(settings: Settings) -> None:
    stopped = threading.Event()
    stopped.set()
    assert not produce(settings, Request(TOPICS, rate=10.0, count=5, seed=1), stopped).is_all
    assert produce(settings, Request(TOPICS, rate=10.0, seed=1), stopped).is_all
