"""What only the embedded log has: its file, its failures, truncation. test_every_log.py tests what all logs share."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import LogIdentityError, LogRefusedError, LogUnavailableError, StoreUnavailableError
from pipelines.log.embedded import log as embedded
from pipelines.log.embedded import sqlite
from pipelines.log.embedded import tables as embedded_tables
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.embedded.sqlite import Database
from pipelines.log.interface import OUTGOING
from tests.pipelines.embedded_admin import apply_retention, delete_topic

Sent = Callable[..., pa.Table]
START = {0: 0, 1: 0, 2: 0, 3: 0}
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[4]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    opened = EmbeddedLog(tmp_path / "home" / "log.db", clock=lambda: NOW)
    yield opened
    opened.close()


def test_reading_creates_no_file_and_names_the_command_that_does(log: EmbeddedLog) -> None:
    for request in (lambda: log.identity, lambda: log.topic_state("t"), lambda: log.poll("t", START, 1)):
        with pytest.raises(LogUnavailableError, match=r"no log at .*log\.db yet: `animeverse produce`"):
            request()
    assert not log.path.parent.exists()


def test_creating_a_log_leaves_no_other_file_in_its_folder(log: EmbeddedLog, sent: Sent) -> None:
    log.append("t", sent([b"v"]))
    log.close()
    assert [path.name for path in log.path.parent.iterdir()] == ["log.db"]


def test_a_repeated_poll_at_the_end_sees_new_records_and_deleted_topics(log: EmbeddedLog, sent: Sent) -> None:
    """A poll of an unchanged file runs no query, so it must notice commits of its own and other connections."""
    log.ensure_topics(["t", "other"], partitions=1)
    with closing(EmbeddedLog(log.path, clock=lambda: NOW)) as another:
        for writer, end in ((log, 1), (another, 2), (log, 3), (another, 4)):
            for _ in range(2):
                assert log.poll("t", {0: end - 1}, 9).records.num_rows == 0
                assert log.poll("other", {0: 0}, 9).records.num_rows == 0
            writer.append("t", sent([b"v"]))
            assert log.poll("t", {0: end - 1}, 9).records.num_rows == 1
            assert log.poll("t", {0: end}, 9).records.num_rows == 0
            assert log.poll("t", {0: end - 1}, 9).records.num_rows == 1
        assert log.poll("t", {0: 4}, 9).records.num_rows == 0
        apply_retention(log.path, "t", max_bytes=0, now=NOW)
        with pytest.raises(LogIdentityError):
            log.poll("t", {0: 0}, 9)
        assert log.poll("t", {0: 4}, 9).records.num_rows == 0
        delete_topic(log.path, "t")
        with pytest.raises(LogRefusedError):
            log.poll("t", {0: 4}, 9)
    assert log.poll("other", {0: 0}, 9).records.num_rows == 0
    delete_topic(log.path, "other")
    with pytest.raises(LogRefusedError):
        log.poll("other", {0: 0}, 9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.none() | st.binary(max_size=30),
            st.none() | st.binary(max_size=300),
            st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3),
            st.integers(1_000, 4_102_444_800_000_000),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_record_is_read_exactly_as_it_was_written(log: EmbeddedLog, records) -> None:
    keys, values, headers, micros = map(list, zip(*records, strict=True))
    times = pa.array(micros, OUTGOING.field("timestamp").type)
    columns = [pa.array([2] * len(records), pa.int32()), times, pa.array(keys, pa.binary())]
    columns += [pa.array(headers, OUTGOING.field("headers").type), pa.array(values, pa.binary())]
    log.ensure_topics(["t"])
    start = log.topic_state("t").end_offsets[2]
    log.append("t", pa.Table.from_arrays(columns, schema=OUTGOING))
    found = log.poll("t", {2: start}, 100).records
    assert found["key"].to_pylist() == keys
    assert found["value"].to_pylist() == values
    assert found["timestamp"].combine_chunks().equals(times)
    assert [[tuple(h.values()) for h in row or []] for row in found["headers"].to_pylist()] == headers


def test_columns_that_begin_with_nulls_keep_their_type(log: EmbeddedLog, sent: Sent) -> None:
    nulls: list[bytes | None] = [None] * 20_000
    values, keys = [*nulls, b"\xff", b""], [*nulls, b"k", b"7"]
    log.append("t", sent(values, key=keys, partition=[0] * 20_002))
    records = log.poll("t", {0: 0}, 50_000).records
    assert records["value"].to_pylist() == values
    assert records["key"].to_pylist() == keys


def test_a_poll_of_large_records_ends_early_and_loses_none(log, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "POLL_BYTES", 25_000_000)
    value = os.urandom(10_000_000)
    log.append("t", sent([value, b"small", value, value, value], partition=[0, 1, 0, 0, 0]))
    first = log.poll("t", {0: 0, 1: 0}, 100)
    assert first.next_offsets == {0: 3, 1: 1}
    rest = log.poll("t", first.next_offsets, 100)
    assert rest.records["offset"].to_pylist() == [3]
    assert rest.records["value"].to_pylist() == [value]


def test_a_record_over_the_limit_is_refused_by_number(log, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MAX_RECORD_BYTES", 1000)
    log.ensure_topics(["t"])
    with pytest.raises(LogRefusedError, match="record 1 for topic t has 1,001 bytes, the maximum is 1,000"):
        log.append("t", sent([b"a", b"x" * 1001]))
    assert sum(log.topic_state("t").end_offsets.values()) == 0


def test_reading_continues_after_retention_by_age(log: EmbeddedLog, sent: Sent) -> None:
    ages = [50, 40, 30, 20, 45, 10]
    stamps = [NOW - timedelta(hours=age) for age in ages]
    log.append("t", sent([b"v"] * 6, partition=[0] * 6, timestamp=stamps))
    assert apply_retention(log.path, "t", max_age=timedelta(hours=30), now=NOW) == 2  # 30 h is not older than 30 h
    assert log.topic_state("t").first_offsets[0] == 2
    assert apply_retention(log.path, "t", max_age=timedelta(hours=30), now=NOW) == 0
    assert apply_retention(log.path, "t", max_age=timedelta(hours=1), now=NOW) == 4
    state = log.topic_state("t")
    assert state.first_offsets[0] == state.end_offsets[0] == 6
    log.append("t", sent([b"v"], partition=[0]))
    assert log.poll("t", {0: 6}, 9).records["offset"].to_pylist() == [6]


def test_first_offsets_follow_retention_by_bytes(log: EmbeddedLog, sent: Sent) -> None:
    count = 25_000
    log.append("t", sent([b"12345678"] * count, key=[b"ab"] * count, partition=[n % 2 for n in range(count)]))
    assert apply_retention(log.path, "t", max_bytes=1000, now=NOW) == count - 200
    assert log.topic_state("t").first_offsets == {0: count // 2 - 100, 1: count // 2 - 100, 2: 0, 3: 0}


def test_an_input_output_error_on_a_full_disk_is_reported_as_a_full_disk(
    log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite reports an I/O error when its shared memory cannot grow."""
    for blocks, expected in ((1_000, "check the disk"), (0, "no space left for the log")):
        monkeypatch.setattr(sqlite.os, "statvfs", lambda _, free=blocks: SimpleNamespace(f_bavail=free, f_frsize=4096))
        assert expected in str(sqlite.translated_error(log.path, "[SQLite] disk I/O error"))


def test_a_full_disk_is_reported_with_the_written_records_and_the_log_stays_usable(
    log: EmbeddedLog, sent: Sent
) -> None:
    log.append("t", sent([b"before"], partition=[0]))
    database = log._open()
    pages = database.rows("pragma page_count")[0][0]
    database.execute(f"pragma max_page_count = {pages + 700}")
    many = sent([b"x" * 400] * 50_000, partition=[1] * 50_000)
    with pytest.raises(StoreUnavailableError, match=r"no space left for the log .*the first 20,000 of 50,000 records"):
        log.append("t", many)
    assert log.topic_state("t").end_offsets == {0: 1, 1: 20_000, 2: 0, 3: 0}
    database.execute("pragma max_page_count = 1000000")
    log.append("t", many.slice(20_000))
    assert log.topic_state("t").end_offsets[1] == 50_000


def test_a_log_that_another_process_has_locked_is_unavailable(log, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.3)
    log.ensure_topics(["t"])
    with closing(Database(log.path)) as other, other.transaction(write=True):
        with pytest.raises(LogUnavailableError, match="locked by another process"):
            log.append("t", sent([b"v"]))
        assert not len(log.poll("t", START, 10).records)  # readers never wait
    assert log.append("t", sent([b"v"])) == 1


def test_a_folder_that_cannot_be_created_is_reported_with_its_path(tmp_path: Path, sent: Sent) -> None:
    (tmp_path / "file").write_text("no folder")
    log = EmbeddedLog(tmp_path / "file" / "log.db")
    with pytest.raises(StoreUnavailableError, match=r"file/log\.db"):
        log.append("t", sent([b"v"]))


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to have a header of hundred bytes" * 3])
def test_a_file_that_is_no_log_is_refused_and_unchanged(tmp_path: Path, sent: Sent, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(LogRefusedError, match=r"log\.db"):
        EmbeddedLog(path).append("t", sent([b"v"]))
    assert path.read_bytes() == content


def test_a_log_of_another_format_is_refused(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.ensure_topics(["t"])
    log.close()
    monkeypatch.setattr(embedded_tables, "FORMAT", 2)
    with pytest.raises(LogRefusedError, match="has format 1, this version reads 2"):
        _ = log.identity


def test_a_deleted_log_is_replaced_by_a_new_one(log: EmbeddedLog, sent: Sent) -> None:
    log.append("t", sent([b"old"]))
    before = log.identity
    for path in log.path.parent.iterdir():
        path.unlink()
    with pytest.raises(LogUnavailableError, match="no log at"):
        log.poll("t", START, 1)
    log.append("t", sent([b"new"]))
    assert log.identity != before
    assert log.poll("t", START, 9).records["value"].to_pylist() == [b"new"]


def test_several_processes_can_create_the_log_at_the_same_time(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipelines.log.embedded.log import EmbeddedLog;"
        "log = EmbeddedLog(Path(sys.argv[1])); log.ensure_topics(['a', 'b']); print(log.identity); log.close()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log.db")]
    creators = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    identities = {creator.communicate(timeout=60)[0] for creator in creators}
    assert len(identities) == 1 and all(creator.returncode == 0 for creator in creators)
    assert [path.name for path in tmp_path.iterdir()] == ["log.db"]


def test_closing_one_connection_keeps_the_locks_of_another(tmp_path: Path, sent: Sent) -> None:
    """Without them another process would delete the write-ahead log and with it later writes of this process."""
    kept, closed = EmbeddedLog(tmp_path / "log.db"), EmbeddedLog(tmp_path / "log.db")
    kept.append("t", sent([b"1"], partition=[0]))
    closed.poll("t", START, 1)
    closed.close()
    script = (
        "import sys; from pathlib import Path; from pipelines.log.embedded.log import EmbeddedLog;"
        "log = EmbeddedLog(Path(sys.argv[1])); print(log.topic_state('t').end_offsets[0]); log.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "log.db")], cwd=ROOT, check=True)
    kept.append("t", sent([b"2"], partition=[0]))
    os.sync()
    assert EmbeddedLog(tmp_path / "log.db").poll("t", START, 9).records["value"].to_pylist() == [b"1", b"2"]
    kept.close()


def test_a_poll_sees_one_state_while_others_write(tmp_path: Path) -> None:
    """Every batch has one record per partition, so a poll of half a batch would show by unequal positions."""
    script = """
import sys, pyarrow as pa
from pathlib import Path
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.interface import OUTGOING
from tests.pipelines.embedded_admin import apply_retention, delete_topic
arrays = [pa.nulls(4, field.type) for field in OUTGOING]
arrays[0] = pa.array([0, 1, 2, 3], pa.int32())
log = EmbeddedLog(Path(sys.argv[1]))
while True:
    log.append("t", pa.Table.from_arrays(arrays, schema=OUTGOING))
"""
    log = EmbeddedLog(tmp_path / "log.db")
    log.ensure_topics(["t"])
    writer = subprocess.Popen([sys.executable, "-c", script, str(log.path)], cwd=ROOT)
    try:
        positions, deadline = START, time.monotonic() + 20
        while max(positions.values()) < 200 and time.monotonic() < deadline:
            positions = log.poll("t", positions, 1000, wait=1.0).next_offsets
            assert len(set(positions.values())) == 1
        assert max(positions.values()) >= 200
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        log.close()
