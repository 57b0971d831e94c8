"""When a commit is published."""

import pytest

from warehouse.storage import publication_policy
from warehouse.storage.publication_policy import CATCH_UP_ROWS, PublicationPolicy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, as the only item."""
    now = [1000.0]
    monkeypatch.setattr(publication_policy.time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_due_without_a_commit() -> None:
    assert not PublicationPolicy().is_due(1)


def test_a_small_refresh_is_published_at_once(clock: list[float]) -> None:
    policy = PublicationPolicy()
    policy.published(2.0)
    policy.committed()
    assert policy.is_due(CATCH_UP_ROWS - 1)
    assert not policy.is_due(CATCH_UP_ROWS)


@pytest.mark.parametrize(("copy_seconds", "waits"), [(1.5, 30.0), (3.0, 60.0), (100.0, 60.0)])
def test_a_catch_up_publishes_again_after_20_times_the_copy_or_a_minute(
    copy_seconds: float, waits: float, clock: list[float]
) -> None:
    policy = PublicationPolicy()
    policy.published(copy_seconds)
    policy.committed()
    clock[0] += waits - 1
    assert not policy.is_due(CATCH_UP_ROWS)
    clock[0] += 1
    assert policy.is_due(CATCH_UP_ROWS)


def test_a_discarded_file_leaves_nothing_pending(clock: list[float]) -> None:
    policy = PublicationPolicy()
    policy.committed()
    policy.reset()
    assert not policy.is_due(1)
