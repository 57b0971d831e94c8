"""A round ends together with the refresh under way, and no sooner than the freshness target requires."""

import pytest

from pipelines.microbatch.pacing import BatchPacer, idle_delay


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which the test sets."""
    moment = [100.0]
    monkeypatch.setattr("pipelines.microbatch.pacing.time.monotonic", lambda: moment[0])
    return moment


def _measured(target: float, round_seconds: float, refresh_seconds: float) -> BatchPacer:
    pacer = BatchPacer(target)
    pacer.round_took(round_seconds)
    pacer.refresh_took(refresh_seconds)
    pacer.refresh_began()
    return pacer


def test_the_first_round_begins_at_once(now: list[float]) -> None:
    assert BatchPacer(0.0).wait(is_waiting=False) == 0.0


@pytest.mark.parametrize(
    ("target", "is_waiting", "expected"),
    [
        (0.1, False, 0.3),  # the target cannot be met: a round of 0.1 s ends with the refresh of 0.4 s
        (0.1, True, 0.7),  # and with the refresh after it, if rows wait for that one
        (
            2.0,
            False,
            0.7,
        ),  # a record that just missed the last round is in gold after 1.3 s
    ],
)
def test_a_round_ends_with_a_refresh_or_meets_the_target(
    now: list[float], target: float, is_waiting: bool, expected: float
) -> None:
    assert _measured(target, 0.1, 0.4).wait(is_waiting=is_waiting) == pytest.approx(expected)


def test_the_delay_counts_from_the_begin_of_the_refresh(now: list[float]) -> None:
    pacer = _measured(2.0, 0.1, 0.4)
    now[0] += 0.5
    assert pacer.wait(is_waiting=False) == pytest.approx(0.2)
    now[0] += 10.0
    assert pacer.wait(is_waiting=False) == 0.0


def test_one_long_refresh_does_not_delay_reading_for_long(now: list[float]) -> None:
    assert _measured(1.0, 0.1, 600.0).wait(is_waiting=False) == pytest.approx(1.9)


def test_a_long_target_means_long_intervals(now: list[float]) -> None:
    assert _measured(60.0, 0.1, 0.4).wait(is_waiting=False) == pytest.approx(38.4)


def test_the_log_is_read_less_often_the_longer_it_is_idle() -> None:
    delays = [idle_delay(seconds) for seconds in (0.0, 1.0, 5.0, 15.0, 3600.0)]
    assert delays == [0.01, 0.05, 0.15, 0.4, 0.4]
