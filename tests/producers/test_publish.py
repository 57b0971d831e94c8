from datetime import date

import pytest

from pipelines.log.embedded.log import EmbeddedLog
from producers.publish import publish
from producers.rate_limiter import RateLimiter
from producers.world import World
from tests.producers.fake_clock import Clock
from tests.producers.log_content import content_of, expected_content

WORLD = World(13, date(2026, 9, 1), 4, 1_500)


def test_a_published_world_is_in_the_log_in_order_of_arrival(log: EmbeddedLog) -> None:
    reported: list[int] = []
    sent = publish(log, WORLD.batches(), progress=reported.append)
    assert sent == sum(reported) == sum(map(len, content_of(log).values()))
    assert content_of(log) == expected_content(WORLD)


def test_only_the_requested_topics_and_count_are_sent(log: EmbeddedLog) -> None:
    assert publish(log, WORLD.batches(), topics=("cinema-sales",), count=100) == 100
    assert {topic for topic, _ in content_of(log)} == {"cinema-sales"}


def test_a_rate_is_kept_in_small_steps(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sent = Clock(), [0]
    at: list[tuple[float, int]] = []

    def progress(records: int) -> None:
        sent[0] += records
        at.append((clock.now, sent[0]))

    publish(log, WORLD.batches(), rate=500, progress=progress, limiter=RateLimiter(500, clock, clock.sleep))
    assert sent[0] > 1_400
    for now, records in at:
        assert abs(records - 500 * (now - at[0][0])) <= 21  # one tick of 40 ms
    assert abs(clock.now - 1_000 - sent[0] / 500) < 0.1
