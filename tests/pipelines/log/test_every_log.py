"""The claims that hold for every log: one suite with the log as a parameter."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import LogIdentityError, LogRefusedError
from pipelines.log.interface import RECORDS, Log
from pipelines.log.partitioner import partitions_of

Sent = Callable[..., pa.Table]
START: Mapping[int, int] = {0: 0, 1: 0, 2: 0, 3: 0}
ROOT = Path(__file__).parents[3]


def read_all(log: Log, topic: str, positions: Mapping[int, int] = START, max_records: int = 100_000) -> pa.Table:
    """Poll until a poll returns no records."""
    parts = []
    while True:
        polled = log.poll(topic, positions, max_records)
        assert len(polled.records) <= max_records
        if not len(polled.records):
            return pa.concat_tables([RECORDS.empty_table(), *parts]).sort_by(
                [("partition", "ascending"), ("offset", "ascending")]
            )
        parts.append(polled.records)
        positions = polled.next_offsets


def test_a_record_is_read_as_it_was_sent(backend, sent: Sent) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    timestamps = [datetime(2024, 5, 1, 12, 0, 0, 123000, UTC), datetime(2001, 1, 1, tzinfo=UTC)] * 3
    keys = [b"k", None, b"", b"\xff\x00", b"a", b"b"]
    values = [b"{}", b"", None, b"\x80\x00\xfe", "日本".encode(), b"x" * 5000]
    headers = [
        None,
        [("a", b"1"), ("a", None), ("b", b""), ("ü", b"\xff\x00")],
        None,
        [("only", None)],
        [],
        None,
    ]
    table = sent(values, partition=[2] * 6, timestamp=timestamps, key=keys, headers=headers)
    assert log.append("t", table) == 6
    records = log.poll("t", START, 100).records
    assert records.schema == RECORDS
    records.validate(full=True)
    assert records["partition"].to_pylist() == [2] * 6
    assert records["offset"].to_pylist() == list(range(6))
    assert records["timestamp"].to_pylist() == timestamps
    assert records["key"].to_pylist() == keys
    assert records["value"].to_pylist() == values
    received = [row and [(header["key"], header["value"]) for header in row] for row in records["headers"].to_pylist()]
    assert received == [row or None for row in headers]


def test_offsets_begin_at_zero_and_have_no_gaps(backend, sent: Sent) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    for part in range(3):
        log.append("t", sent([b"v"] * 100, key=[b"%d" % (100 * part + n) for n in range(100)]))
    state = log.topic_state("t")
    assert set(state.first_offsets) == set(state.end_offsets) == {0, 1, 2, 3}
    assert set(state.first_offsets.values()) == {0}
    assert sum(state.end_offsets.values()) == 300
    records = read_all(log, "t")
    for partition, end in state.end_offsets.items():
        mine = records.filter(pa.compute.equal(records["partition"], partition))
        assert mine["offset"].to_pylist() == list(range(end))


def test_a_key_gets_the_partition_that_kafkas_java_client_chooses(backend, sent: Sent) -> None:
    log = backend.open()
    keys = [b"kafka", b"foobar", b"21", None, None, b""]
    values = [b"1", b"2", b"3", b"by the value", None, b"6"]
    log.append("t", sent(values, key=keys))
    records = read_all(log, "t")
    hashed = pa.array([b"kafka", b"foobar", b"21", b"by the value", b"", b""])
    expected = dict(zip(values, partitions_of(hashed, 4).tolist(), strict=True))
    assert dict(zip(records["value"].to_pylist(), records["partition"].to_pylist(), strict=True)) == expected


def test_the_order_of_a_key_is_kept(backend, sent: Sent) -> None:
    log = backend.open()
    values = [b"%06d" % n for n in range(3000)]
    log.append("t", sent(values, key=[b"key %d" % (n % 7) for n in range(3000)]))
    seen: dict[bytes, list[bytes]] = {}
    for key, value in zip(*(read_all(log, "t")[name].to_pylist() for name in ("key", "value")), strict=True):
        seen.setdefault(key, []).append(value)
    assert all(got == sorted(got) for got in seen.values())
    assert sum(map(len, seen.values())) == 3000


def test_a_record_without_a_timestamp_gets_the_time_of_arrival(backend, sent: Sent) -> None:
    log = backend.open()
    before = datetime.now(UTC)
    log.append("t", sent([b"v"]))
    (timestamp,) = read_all(log, "t")["timestamp"].to_pylist()
    assert before - timedelta(milliseconds=1) <= timestamp <= datetime.now(UTC)


@pytest.mark.parametrize("max_records", [1, 7, 1000])
def test_the_size_of_a_poll_does_not_change_the_records(backend, sent: Sent, max_records: int) -> None:
    log = backend.open()
    log.append("t", sent([b"%d" % n for n in range(60)], key=[b"%d" % (n % 9) for n in range(60)]))
    assert read_all(log, "t", max_records=max_records).equals(read_all(backend.open(), "t"))


def test_a_position_can_be_read_again(backend, sent: Sent) -> None:
    log = backend.open()
    log.append("t", sent([b"%d" % n for n in range(40)], partition=[n % 4 for n in range(40)]))
    first = log.poll("t", START, 20)
    again = log.poll("t", START, 20)
    assert again.records.equals(first.records) and again.next_offsets == first.next_offsets
    rest = log.poll("t", {0: 9, 1: 10, 2: 10, 3: 10}, 20).records
    assert (rest["partition"].to_pylist(), rest["offset"].to_pylist()) == ([0], [9])


def test_partitions_share_a_poll_fairly(backend, sent: Sent) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    for partition, count in ((0, 100), (1, 100), (2, 3)):
        log.append("t", sent([b"v"] * count, partition=[partition] * count))
    polled = log.poll("t", START, 41)
    assert polled.next_offsets == {0: 19, 1: 19, 2: 3, 3: 0}
    assert polled.records["partition"].to_pylist() == [0] * 19 + [1] * 19 + [2] * 3


def test_polls_of_one_record_alternate_between_partitions(backend, sent: Sent) -> None:
    log = backend.open()
    log.append("t", sent([b"v"] * 40, partition=[n % 4 for n in range(40)]))
    positions = START
    for _ in range(8):
        positions = log.poll("t", positions, 1).next_offsets
    assert positions == {0: 2, 1: 2, 2: 2, 3: 2}


def test_a_poll_without_new_records_returns_the_same_positions(backend, sent: Sent) -> None:
    log = backend.open()
    log.append("t", sent([b"v"] * 8, partition=[0] * 8))
    end = log.topic_state("t").end_offsets
    polled = log.poll("t", end, 10)
    assert polled.records.equals(RECORDS.empty_table())
    assert polled.next_offsets == {0: 8, 1: 0, 2: 0, 3: 0}


def test_acknowledged_records_are_in_the_next_poll(backend, sent: Sent) -> None:
    writer, reader, positions = backend.open(), backend.open(), START
    writer.ensure_topics(["t"])
    for number in range(10):
        writer.append("t", sent([b"%d" % number]))
        polled = reader.poll("t", positions, 10)
        assert polled.records["value"].to_pylist() == [b"%d" % number]
        positions = polled.next_offsets


def test_a_waiting_poll_returns_with_the_first_record(backend, sent: Sent) -> None:
    log, writer = backend.open(), backend.open()
    writer.ensure_topics(["t"])
    log.poll("t", START, 10)
    acknowledged: list[float] = []

    def send() -> None:
        writer.append("t", sent([b"now"]))
        acknowledged.append(time.monotonic())

    sender = threading.Timer(0.3, send)
    sender.start()
    started = time.monotonic()
    assert log.poll("t", START, 10, wait=30.0).records["value"].to_pylist() == [b"now"]
    ended = time.monotonic()
    sender.join()
    assert ended - started > 0.2
    assert ended - acknowledged[0] < 1.5


def test_a_waiting_poll_returns_when_nothing_arrives(backend) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    started = time.monotonic()
    assert not len(log.poll("t", START, 10, wait=0.4).records)
    assert 0.35 < time.monotonic() - started < 1.5


def test_a_position_beyond_the_end_names_topic_partition_and_offsets(backend, sent: Sent) -> None:
    log = backend.open()
    log.append("t", sent([b"v"] * 5, partition=[1] * 5))
    with pytest.raises(LogIdentityError, match=r"t, partition 1: .*offset 9.*first offset 0, end offset 5"):
        log.poll("t", {**START, 1: 9}, 10)
    assert len(log.poll("t", START, 10).records) == 5


def test_a_missing_partition_is_named_in_the_error(backend, sent: Sent) -> None:
    log = backend.open()
    log.append("t", sent([b"v"]))
    with pytest.raises(LogIdentityError, match="no partition 7"):
        log.poll("t", {7: 0}, 10)


def test_a_missing_topic_is_named_in_the_error(backend, sent: Sent) -> None:
    log = backend.open()
    log.ensure_topics(["other"])
    for request in (lambda: log.topic_state("missing"), lambda: log.poll("missing", START, 10)):
        with pytest.raises(LogRefusedError, match=f"no topic {backend.prefix}missing"):
            request()


def test_creating_an_existing_topic_changes_nothing(backend, sent: Sent) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    log.append("t", sent([b"v"]))
    before = log.topic_state("t")
    backend.open().ensure_topics(["t", "u"], partitions=9)
    assert backend.open().topic_state("t") == before


def test_two_connections_see_one_identity(backend) -> None:
    log = backend.open()
    log.ensure_topics(["t", "u"])
    assert log.identity and log.identity == backend.open().identity
    assert log.topic_state("t").topic_id == backend.open().topic_state("t").topic_id != log.topic_state("u").topic_id


def test_topic_prefixes_separate_installations(backend, sent: Sent) -> None:
    one, two = backend.open(prefix=backend.prefix + "one."), backend.open(prefix=backend.prefix + "two.")
    one.append("t", sent([b"one"]))
    two.append("t", sent([b"two"]))
    assert read_all(one, "t")["value"].to_pylist() == [b"one"]
    assert one.topic_state("t").topic == "t"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"partition": [0, None, 4]}, "record 2 asks for partition 4"),
        ({"partition": [-1, None, 0]}, "record 0 asks for partition -1"),
        ({"timestamp": [None, datetime(1969, 7, 20, tzinfo=UTC), None]}, "record 1 .*1969"),
        ({"timestamp": [None, None, 253_402_300_800_000_000]}, "record 2 .*9999"),
        ({"headers": [None, [("a", b"")], [("b", b""), (None, b"x")]]}, "record 2 .*header without a name"),
    ],
)
def test_an_invalid_record_is_named_and_nothing_is_sent(backend, sent: Sent, columns, words: str) -> None:
    log = backend.open()
    log.ensure_topics(["t"])
    with pytest.raises(LogRefusedError, match=words):
        log.append("t", sent([b"a", b"b", b"c"], **columns))
    assert sum(log.topic_state("t").end_offsets.values()) == 0


def test_appending_no_records_succeeds(backend, sent: Sent) -> None:
    log = backend.open()
    assert log.append("t", sent([])) == 0
    assert len(read_all(log, "t")) == 0


_WRITER = """
import sys, pyarrow as pa
from pipelines.log.interface import OUTGOING
from pipelines.log.open import open_log
url, prefix, name, rounds, each = sys.argv[1:4] + [int(word) for word in sys.argv[4:]]
log = open_log(url, topic_prefix=prefix)
for number in range(rounds):
    values = [f"{name} {number * each + n}".encode() for n in range(each)]
    columns = {"key": values, "value": values}
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(each, f.type) for f in OUTGOING]
    log.append("t", pa.Table.from_arrays(arrays, schema=OUTGOING))
    print((number + 1) * each, flush=True)
log.close()
"""


def _writer(backend, name: str, rounds: int, each: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, backend.url, backend.prefix, name, str(rounds), str(each)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_concurrent_writers_lose_no_record_and_leave_no_gap(backend) -> None:
    writers = [_writer(backend, name, 20, 50) for name in "abc"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    log = backend.open()
    values = read_all(log, "t")["value"].to_pylist()
    assert sorted(values) == sorted(f"{name} {n}".encode() for name in "abc" for n in range(1000))
    assert sum(log.topic_state("t").end_offsets.values()) == 3000


def test_a_killed_writer_loses_only_unacknowledged_records(durable_backend) -> None:
    durable_backend.open().ensure_topics(["t"])
    for name in "ab":
        writer = _writer(durable_backend, name, 1_000_000, 37)
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(12)][-1]
        writer.kill()
        rest = writer.communicate()[0].split()
        acknowledged = rest[-1] if rest and rest[-1:] else acknowledged
        found = [v for v in read_all(durable_backend.open(), "t")["value"].to_pylist() if v.startswith(name.encode())]
        assert set(found) >= {f"{name} {n}".encode() for n in range(int(acknowledged))}
        assert len(found) == len(set(found))
        if durable_backend.kind == "embedded":
            assert len(found) % 37 == 0  # a batch is written completely or not at all


def test_reading_records_that_retention_removed_raises(durable_backend, sent: Sent) -> None:
    log = durable_backend.open()
    log.append("t", sent([b"x" * 100] * 20, partition=[0] * 20))
    positions = log.poll("t", START, 5).next_offsets
    durable_backend.truncate("t", 0, 12)
    assert log.topic_state("t").first_offsets[0] == 12
    reader = durable_backend.open()
    with pytest.raises(LogIdentityError, match=r"from offset 5.* 7 records are gone.*first offset 12, end offset 20"):
        reader.poll("t", positions, 100)
    assert reader.poll("t", {0: 12}, 100).records["offset"].to_pylist() == list(range(12, 20))


def test_a_recreated_topic_has_another_id_and_begins_at_zero(durable_backend, sent: Sent) -> None:
    log = durable_backend.open()
    log.append("t", sent([b"old"] * 9, partition=[0] * 9))
    before = log.topic_state("t")
    assert log.poll("t", START, 100).next_offsets == before.end_offsets
    durable_backend.delete_topic("t")
    with pytest.raises(LogRefusedError, match="no topic"):
        durable_backend.open().topic_state("t")
    log.append("t", sent([b"new"], partition=[0]))
    after = log.topic_state("t")
    assert after.topic_id != before.topic_id
    assert after.end_offsets[0] == 1
    with pytest.raises(LogIdentityError, match="ends at 1"):
        log.poll("t", before.end_offsets, 10)
