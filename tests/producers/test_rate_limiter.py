import pytest

from producers.rate_limiter import RateLimiter
from tests.producers.fake_clock import Clock, stop_after


def test_a_pause_is_compensated_by_at_most_one_second() -> None:
    clock = Clock()
    limiter = RateLimiter(1_000, clock, clock.sleep)
    limiter.wait()
    clock.now += 60
    assert limiter.wait() <= 1_041
    assert limiter.wait() <= 50


def test_a_slow_rate_sends_one_at_a_time() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock, clock.sleep)
    began = clock.now
    assert [limiter.wait() for _ in range(10)] == [1] * 10
    assert 4 <= clock.now - began <= 5.1


def test_waiting_ends_when_stop_is_true() -> None:
    clock = Clock()
    assert RateLimiter(0.001, clock, clock.sleep).wait(stop_after(5)) == 0
    with pytest.raises(ValueError, match="above 0"):
        RateLimiter(0)
