from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.policies import Retention
from pipelines.lake.snapshot_retention import SnapshotLine, expendable

NOW = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)


def history(*ages: timedelta, has_checkpoint: bool = True) -> list[SnapshotLine]:
    """Snapshots of these ages, the oldest first, numbered from 0."""
    ordered = sorted(ages, reverse=True)
    return [SnapshotLine(n, n - 1 if n else None, NOW - age, has_checkpoint, False) for n, age in enumerate(ordered)]


def test_the_newest_commits_are_kept_at_any_age() -> None:
    lines = history(*(timedelta(days=100 + n) for n in range(30)))
    assert expendable(lines, NOW, Retention(commits=20, hours=24, days=30)) == list(range(10))


def test_older_commits_are_kept_hourly_for_a_day_and_daily_for_a_month() -> None:
    lines = history(*(timedelta(minutes=10 * n) for n in range(6 * 24 * 40)))
    expired = set(expendable(lines, NOW, Retention(commits=20, hours=24, days=30)))
    kept = [line.committed_at for line in lines if line.snapshot_id not in expired]
    assert 20 + 20 + 28 <= len(kept) <= 20 + 24 + 31
    assert NOW - kept[0] > timedelta(days=29)
    day_before = [moment for moment in kept if NOW - timedelta(hours=20) < moment < NOW - timedelta(hours=5)]
    assert [moment.minute for moment in day_before] == [50] * 15


def test_a_pinned_snapshot_and_all_after_it_are_kept() -> None:
    lines = history(*(timedelta(days=40, minutes=n) for n in range(10)))
    assert expendable(lines, NOW, Retention(1, 0, 0), pinned={4}) == [0, 1, 2, 3]


def test_the_newest_checkpoint_and_all_snapshots_after_it_are_kept() -> None:
    ages = [timedelta(days=40, minutes=n) for n in range(10)]
    lines = [
        SnapshotLine(line.snapshot_id, line.parent_id, line.committed_at, line.snapshot_id == 3, False)
        for line in history(*ages)
    ]
    assert expendable(lines, NOW, Retention(1, 0, 0)) == [0, 1, 2]


def test_the_snapshot_that_a_recent_compaction_replaced_is_kept_for_its_readers() -> None:
    lines = history(*(timedelta(minutes=n) for n in range(6)))
    lines[2] = SnapshotLine(2, 1, lines[2].committed_at, True, True)
    assert expendable(lines, NOW, Retention(1, 0, 0, timedelta(hours=1))) == [0, 2, 3, 4]
    assert expendable(lines, NOW, Retention(1, 0, 0, timedelta(0))) == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(0, 60 * 24 * 60), min_size=1, max_size=80), st.integers(1, 30))
def test_expiring_again_expires_nothing_and_the_current_snapshot_is_kept(minutes: list[int], commits: int) -> None:
    lines = history(*(timedelta(minutes=age) for age in minutes))
    retention = Retention(commits=commits)
    expired = set(expendable(lines, NOW, retention))
    rest = [line for line in lines if line.snapshot_id not in expired]
    assert rest[-1] == lines[-1]
    assert len(rest) >= min(commits, len(lines))
    assert expendable(rest, NOW, retention) == []
