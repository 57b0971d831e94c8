import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from pipelines.contracts.registry import TOPICS
from pipelines.errors import UsageError
from pipelines.log.embedded.log import EmbeddedLog
from producers.data_faults import DataFaults, FaultKind
from producers.live import live, share_of
from producers.publish import publish_live
from producers.world import Batch
from tests.producers.fake_clock import Clock

START = datetime(2026, 11, 14, 18, 30, tzinfo=UTC)


def _seconds(batches: list[Batch]) -> Counter[int]:
    return Counter(arrival // 1_000 for batch in batches for arrival in batch.facts["arrival"].to_list())


@pytest.mark.parametrize("rate", [3.0, 200.0, 4_000.0])
def test_the_rate_is_kept_second_by_second(rate: float) -> None:
    batches = []
    for batch in live(1, rate, START):
        batches.append(batch)
        if batch.facts["arrival"][-1] > START.timestamp() * 1_000 + 12_000:
            break
    full = [count for second, count in sorted(_seconds(batches).items())][2:-2]
    assert abs(sum(full) / len(full) - rate) <= max(1.0, 0.03 * rate)
    assert max(full) <= 1.5 * rate + 12


def test_live_event_times_are_current_except_for_late_and_future_events() -> None:
    for batch in islice(live(2, 2_000, START), 60):
        for kind, arrival, time in batch.facts.select("kind", "arrival", "event_time").iter_rows():
            delay = timedelta(milliseconds=arrival - time)
            if kind in (FaultKind.NONE, FaultKind.BROKEN, FaultKind.CONTRACT, FaultKind.NEW_FIELD):
                assert timedelta(0) < delay <= timedelta(milliseconds=5)
            if kind == FaultKind.LATE:
                assert timedelta(minutes=15) <= delay <= timedelta(hours=41)
            if kind == FaultKind.TOO_LATE:
                assert delay >= timedelta(hours=72)


def test_a_live_world_has_every_topic_and_every_fault() -> None:
    batches = list(islice(live(3, 5_000, START), 150))
    assert {batch.topic for batch in batches} == set(TOPICS)
    assert {kind for batch in batches for kind in batch.facts["kind"].to_list()} == set(FaultKind)


def test_a_live_world_is_pure() -> None:
    one, two = (
        [value for batch in islice(live(4, 100, START), 30) for value in batch.records["value"].to_pylist()]
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize("topic", TOPICS)
def test_one_topic_alone_gets_the_whole_rate(topic: str) -> None:
    batches = list(islice(live(5, 300, START, topics=[topic], faults=DataFaults.none()), 20))
    assert {batch.topic for batch in batches} == {topic}
    full = [count for _, count in sorted(_seconds(batches).items())][1:-2]
    assert abs(sum(full) / len(full) - 300) < 20


def test_a_live_world_continues_over_midnight_and_while_stores_are_closed() -> None:
    channels = Counter[str]()
    for batch in islice(live(6, 100, datetime(2026, 11, 14, 23, 59, 55, tzinfo=UTC), faults=DataFaults.none()), 200):
        if batch.topic == "pos-transactions":
            channels.update(json.loads(value)["channel"] for value in batch.records["value"].to_pylist())
    assert channels["online"] > 100 and not channels["store"]


def test_a_generator_that_falls_behind_skips_the_missed_time() -> None:
    clock = Clock()
    clock.now = START.timestamp()
    events = live(7, 100, START, clock=clock, faults=DataFaults.none())
    next(events)
    clock.now += 3_600
    for batch in islice(events, 30):
        newest = batch.facts["arrival"][-1]
    assert newest / 1_000 >= clock.now - 1


def test_no_record_is_sent_before_its_timestamp(tmp_path: Path) -> None:
    log, clock = EmbeddedLog(tmp_path / "log.db"), Clock()
    log.ensure_topics(TOPICS)
    clock.now = START.timestamp()
    sent: list[tuple[float, int]] = []
    count = publish_live(
        log, live(8, 400, START), count=1_000, clock=clock, sleep=clock.sleep,
        progress=lambda records: sent.append((clock.now - START.timestamp(), records)),
    )  # fmt: skip
    assert count == 1_000 == sum(records for _, records in sent)
    total = 0
    for passed, records in sent:
        total += records
        assert total <= 400 * (passed + 0.6)
    assert 2.2 <= sent[-1][0] <= 3.2
    assert max(records for _, records in sent) < 60


def test_the_shares_of_all_topics_add_up_to_1() -> None:
    assert share_of(TOPICS) == pytest.approx(1)


def test_a_topic_without_a_generator_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no generator produces gift-cards"):
        next(live(1, 10, START, topics=["gift-cards"]))
