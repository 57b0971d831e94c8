from pathlib import Path

import pytest

from benchmarks.commits import measure

pytestmark = pytest.mark.usefixtures("without_settings")


def test_the_number_of_snapshots_and_files_does_not_grow_with_commits(tmp_path: Path) -> None:
    points = measure(tmp_path, 90)
    assert [point.commits for point in points] == [10, 90]
    assert points[-1].snapshots <= 60
    assert points[-1].files < 60


@pytest.mark.slow
def test_a_month_of_commits_keeps_daily_and_hourly_snapshots(tmp_path: Path) -> None:
    (*_, last) = measure(tmp_path, 90, months=1)
    assert 30 <= last.snapshots <= 75
