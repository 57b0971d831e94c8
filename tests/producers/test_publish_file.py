import io
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import UsageError
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.partitioner import partitions_of
from producers.publish_file import publish_file, records_of
from producers.rate_limiter import RateLimiter
from tests.producers.fake_clock import Clock

TOPIC = "customer-reviews"


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedLog:
    log = EmbeddedLog(tmp_path / "log.db")
    log.ensure_topics([TOPIC])
    return log


def _rows(log: EmbeddedLog) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = log.poll(TOPIC, log.topic_state(TOPIC).first_offsets, 200_000).records.to_pylist()
    return rows


def _file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(content)
    return path


def test_each_line_is_one_record_byte_for_byte(log: EmbeddedLog, tmp_path: Path) -> None:
    lines = [
        b'{"customer_id":"C-1"}',
        b"{broken",
        b"\xff\xfe",
        b" ",
        b'  {"a" : 1} ',
        b"\x00",
        b"x\ry",
        b"null",
        b"last",
    ]
    path = _file(tmp_path, b"\n".join(lines[:4]) + b"\r\n\n\r\n" + b"\r\n".join(lines[4:]))
    reported: list[int] = []
    assert publish_file(log, TOPIC, path, partition=2, progress=reported.append) == 9 == sum(reported)
    assert [row["value"] for row in _rows(log)] == lines
    assert {row["partition"] for row in _rows(log)} == {2}


def test_the_key_is_null_if_it_cannot_be_read() -> None:
    values = [b'{"customer_id":"C-\\u00e9"}', b'{"customer_id":7}', b'{"customer_id":null}', b"{}", b"[]", b'"C-1"',
              b"{", b'{"customer_id":"C-1","x":NaN}', b'\xef\xbb\xbf{"customer_id":"C-1"}']  # fmt: skip
    assert records_of(TOPIC, values)["key"].to_pylist() == ["C-é".encode(), *[None] * 8]


def test_the_key_is_read_from_an_event_with_a_number_beyond_float64() -> None:
    values = [b'{"booking_id": "B1", "x": 1e400}', b'{"booking_id": "B2", "x": 1' + b"0" * 5_000 + b"}", b'{"x": 1e400']
    assert records_of("cinema-sales", values)["key"].to_pylist() == [b"B1", b"B2", None]


def test_the_partition_is_a_hash_of_the_key_or_of_the_value_without_a_key(log: EmbeddedLog, tmp_path: Path) -> None:
    lines = [json.dumps({"customer_id": f"C-{number % 7}", "n": number}).encode() for number in range(50)]
    lines += [b"{", b"[1]"]
    publish_file(log, TOPIC, _file(tmp_path, b"\n".join(lines)))
    keys = [f"C-{number % 7}".encode() for number in range(50)] + [b"{", b"[1]"]
    expected = dict(zip(lines, partitions_of(pa.array(keys), 4).tolist(), strict=True))
    rows = _rows(log)
    assert {row["value"]: row["partition"] for row in rows} == expected
    for partition in range(4):
        mine = [row["value"] for row in rows if row["partition"] == partition]
        assert mine == [line for line in lines if expected[line] == partition]


def test_the_timestamp_is_the_current_time_or_the_event_time() -> None:
    times = ["2026-02-03T04:05:06.1234567+01:30", "2011-11-11t11:11:11z", "2026-02-30T00:00:00Z",
             "2026-02-03 04:05:06Z", "1969-12-31T23:59:59Z", "2026-02-03T04:05:06", "2026-02-03T24:00:00Z", 5,
             None, "9999-12-31T23:59:59-01:00"]  # fmt: skip
    values = [json.dumps({"event_time": time}).encode() for time in times] + [b"{", b"{}"]
    timestamps = records_of(TOPIC, values, "event_time")["timestamp"].to_pylist()
    assert timestamps[0] == datetime(2026, 2, 3, 2, 35, 6, 123456, UTC)
    assert timestamps[1] == datetime(2011, 11, 11, 11, 11, 11, tzinfo=UTC)
    assert timestamps[2:] == [None] * 10
    assert records_of(TOPIC, values)["timestamp"].null_count == len(values)


def test_many_chunks_and_a_line_of_ten_megabytes_arrive_complete(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publish_file._CHUNK_LINES", 1_000)
    monkeypatch.setattr("producers.publish_file._READ_BYTES", 4_096)
    lines = [b"%d" % number * (1 + number % 90) for number in range(12_000)]
    lines[5_000] = b"x" * 10_000_000
    assert publish_file(log, TOPIC, _file(tmp_path, b"\n".join(lines) + b"\n"), partition=0) == 12_000
    assert [row["value"] for row in _rows(log)] == lines


def test_the_count_limits_the_records_sent(log: EmbeddedLog, tmp_path: Path) -> None:
    assert publish_file(log, TOPIC, _file(tmp_path, b"a\n\nb\nc\nd\n"), count=3, partition=1) == 3
    assert [row["value"] for row in _rows(log)] == [b"a", b"b", b"c"]
    assert publish_file(log, TOPIC, tmp_path / "events.ndjson", count=0) == 0


def test_the_rate_is_kept(log: EmbeddedLog, tmp_path: Path) -> None:
    clock = Clock()
    path = _file(tmp_path, b"\n".join(b"%d" % number for number in range(600)))
    assert publish_file(log, TOPIC, path, rate=300, limiter=RateLimiter(300, clock, clock.sleep)) == 600
    assert clock.now - 1_000 == pytest.approx(2, abs=0.1)


def test_standard_input_is_sent_without_waiting_for_its_end(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    first_arrived, sent = threading.Event(), []

    def progress(records: int) -> None:
        sent.append(records)
        first_arrived.set()

    def write() -> None:
        os.write(writing, b"one\ntwo\nthr")
        assert first_arrived.wait(10)  # before the pipe is closed
        os.write(writing, b"ee\r\n")
        os.close(writing)

    writer = threading.Thread(target=write)
    with open(reading, "rb") as stdin:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stdin))
        writer.start()
        assert publish_file(log, TOPIC, "-", partition=0, progress=progress) == 3
        writer.join()
    assert [row["value"] for row in _rows(log)] == [b"one", b"two", b"three"]
    assert sent[0] == 2


def test_a_missing_file_is_a_usage_error(log: EmbeddedLog, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        publish_file(log, TOPIC, tmp_path / "nothing.ndjson")
    with pytest.raises(UsageError, match="cannot read"):
        publish_file(log, TOPIC, tmp_path)
