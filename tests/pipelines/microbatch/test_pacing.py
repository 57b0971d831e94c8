"""When the next round begins: it ends with the refresh under way, and not sooner than the target asks for."""

import pytest

from pipelines.microbatch import pacing as pace
from pipelines.microbatch.pacing import BatchPacer


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which stands still."""
    moment = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: moment[0])
    return moment


def _measured(target: float, round_seconds: float, refresh_seconds: float) -> BatchPacer:
    found = BatchPacer(target)
    found.round_took(round_seconds)
    found.refresh_took(refresh_seconds)
    found.refresh_began()
    return found


def test_nothing_is_waited_for_before_anything_was_measured(now: list[float]) -> None:
    assert BatchPacer(0.0).wait(is_waiting=False) == 0.0


@pytest.mark.parametrize(
    ("target", "is_waiting", "expected"),
    [
        (0.1, False, 0.3),  # the target cannot be met: 0.1 s of round that end with the 0.4 s of refresh
        (0.1, True, 0.7),  # and with the refresh after it, where that one is to take what waits
        (2.0, False, 0.7),  # a record that just missed the last round is in gold 1.3 s later: some rounds take longer
    ],
)
def test_a_round_begins_when_it_will_be_of_use(
    now: list[float], target: float, is_waiting: bool, expected: float
) -> None:
    assert _measured(target, 0.1, 0.4).wait(is_waiting=is_waiting) == pytest.approx(expected)


def test_what_has_passed_since_is_not_waited_for_again(now: list[float]) -> None:
    pace = _measured(2.0, 0.1, 0.4)
    now[0] += 0.5
    assert pace.wait(is_waiting=False) == pytest.approx(0.2)
    now[0] += 10.0
    assert pace.wait(is_waiting=False) == 0.0


def test_one_long_refresh_does_not_stop_reading(now: list[float]) -> None:
    assert _measured(1.0, 0.1, 600.0).wait(is_waiting=False) == pytest.approx(1.9)


def test_a_long_target_means_few_batches(now: list[float]) -> None:
    assert _measured(60.0, 0.1, 0.4).wait(is_waiting=False) == pytest.approx(38.4)
