from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.contracts.registry import TOPICS
from pipelines.errors import LogUnavailableError, UsageError
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.log.interface import OUTGOING
from pipelines.log.partitioner import partitions_of
from producers.publish import publish, publish_history
from producers.rate_limiter import RateLimiter
from producers.truth import Truth
from producers.world import World

WORLD = World(13, date(2026, 9, 1), 4, 1_500)
Content = dict[tuple[str, int], list[tuple[object, object, object]]]


class Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedLog:
    log = EmbeddedLog(tmp_path / "log.db")
    log.ensure_topics(TOPICS)
    return log


def _content(log: EmbeddedLog) -> Content:
    found: Content = defaultdict(list)
    for topic in TOPICS:
        records = log.poll(topic, log.topic_state(topic).first_offsets, 100_000).records
        for row in records.to_pylist():
            found[topic, row["partition"]].append((row["timestamp"], row["key"], row["value"]))
    return found


def _meant(world: World, topics: tuple[str, ...] = TOPICS) -> Content:
    found: Content = defaultdict(list)
    for batch in world.batches():
        if batch.topic in topics:
            partitions = partitions_of(batch.records["key"].combine_chunks(), 4).tolist()
            for partition, row in zip(partitions, batch.records.to_pylist(), strict=True):
                found[batch.topic, partition].append((row["timestamp"], row["key"], row["value"]))
    return found


def test_a_published_world_stands_in_the_log_in_order_of_arrival(log: EmbeddedLog) -> None:
    told: list[int] = []
    sent = publish(log, WORLD.batches(), progress=told.append)
    assert sent == sum(told) == sum(map(len, _content(log).values()))
    assert _content(log) == _meant(WORLD)


def test_only_the_topics_and_the_count_asked_for_are_sent(log: EmbeddedLog) -> None:
    assert publish(log, WORLD.batches(), topics=("cinema-sales",), count=100) == 100
    assert {topic for topic, _ in _content(log)} == {"cinema-sales"}


def _stop_after(appends: int) -> Callable[[], bool]:
    left = [appends]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


@pytest.mark.parametrize("appends", [0, 1, 3, 9])
def test_a_stopped_history_goes_on_and_sends_nothing_twice(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appends: int
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 100)
    state = tmp_path / "home" / "produce.json"
    first = publish_history(log, WORLD, state, stop=_stop_after(appends))
    assert state.exists()
    second = publish_history(log, WORLD, state)
    assert first + second == sum(map(len, _meant(WORLD).values()))
    assert _content(log) == _meant(WORLD)
    assert not state.exists()


def test_a_history_killed_in_the_middle_of_an_append_goes_on(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 200)
    state, real, calls = tmp_path / "produce.json", log.append, Counter[str]()

    def append(topic: str, records: pa.Table) -> int:
        calls[topic] += 1
        if calls["pos-transactions"] == 4:  # part of it arrives, as from a broker that goes away
            real(topic, records.slice(0, len(records) // 2))
            raise LogUnavailableError("gone")
        return real(topic, records)

    monkeypatch.setattr(log, "append", append)
    with pytest.raises(LogUnavailableError):
        publish_history(log, WORLD, state)
    monkeypatch.setattr(log, "append", real)
    truth = Truth()
    publish_history(log, WORLD, state, watch=truth.watch)
    assert _content(log) == _meant(WORLD)
    assert sum(map(Counter.total, truth.fates.values())) == sum(map(len, _meant(WORLD).values()))


def test_a_run_that_had_sent_everything_but_not_said_so_sends_nothing_more(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, stop=lambda: True)
    remembered = state.read_text()
    publish_history(log, WORLD, state)
    state.write_text(remembered)
    assert publish_history(log, WORLD, state) == 0
    assert not state.exists()


def test_a_finished_history_can_be_sent_again(log: EmbeddedLog, tmp_path: Path) -> None:
    first = publish_history(log, WORLD, tmp_path / "produce.json")
    assert publish_history(log, WORLD, tmp_path / "produce.json") == first


def test_another_world_does_not_go_on_where_this_one_stopped(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, count=None, stop=_stop_after(0))
    other = World(14, date(2026, 9, 1), 2, 300)
    publish_history(log, other, state)
    assert _content(log) == _meant(other)


def _write_something_else(log: EmbeddedLog) -> None:
    row = {"partition": None, "timestamp": None, "key": b"k", "headers": None, "value": b"{}"}
    log.append("pos-transactions", pa.Table.from_pylist([row], OUTGOING))


def test_a_run_does_not_go_on_over_what_something_else_wrote_in_between(
    log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.publish.CHUNK", 300)
    publish_history(log, WORLD, tmp_path / "produce.json", stop=_stop_after(3))
    _write_something_else(log)
    with pytest.raises(UsageError, match="something else has written"):
        publish_history(log, WORLD, tmp_path / "produce.json")


def test_a_run_notices_what_something_else_wrote_behind_its_last_record(log: EmbeddedLog, tmp_path: Path) -> None:
    state = tmp_path / "produce.json"
    publish_history(log, WORLD, state, stop=lambda: True)
    remembered = state.read_text()
    publish_history(log, WORLD, state)
    _write_something_else(log)
    state.write_text(remembered)
    with pytest.raises(UsageError, match="something else has written"):
        publish_history(log, WORLD, state)


def test_a_rate_is_kept_in_small_steps(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sent = Clock(), [0]
    at: list[tuple[float, int]] = []

    def progress(records: int) -> None:
        sent[0] += records
        at.append((clock.now, sent[0]))

    publish(log, WORLD.batches(), rate=500, progress=progress, pace=RateLimiter(500, clock, clock.sleep))
    assert sent[0] > 1_400
    for now, records in at:
        assert abs(records - 500 * (now - at[0][0])) <= 21  # one tick of 40 ms
    assert abs(clock.now - 1_000 - sent[0] / 500) < 0.1


def test_a_pause_is_made_up_for_by_one_second_at_most() -> None:
    clock = Clock()
    pace = RateLimiter(1_000, clock, clock.sleep)
    pace.wait()
    clock.now += 60
    assert pace.wait() <= 1_041
    assert pace.wait() <= 50


def test_a_slow_rate_sends_one_at_a_time() -> None:
    clock = Clock()
    pace = RateLimiter(2, clock, clock.sleep)
    began = clock.now
    assert [pace.wait() for _ in range(10)] == [1] * 10
    assert 4 <= clock.now - began <= 5.1


def test_waiting_ends_when_asked_to() -> None:
    clock = Clock()
    assert RateLimiter(0.001, clock, clock.sleep).wait(_stop_after(5)) == 0
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(0)
