"""The cost of a run in counts, which do not depend on the load of the machine.

Bounds are 1.3 times the current counts.
"""

from dataclasses import dataclass

import pytest

from benchmarks.counts import Counts, counts

pytestmark = [pytest.mark.usefixtures("without_settings"), pytest.mark.slow]

_BATCH = 1_000


@dataclass(frozen=True)
class Runs:
    """Runs of a few and of many batches; the difference is the cost of a batch."""

    few: Counts  # 3 batches
    many: Counts  # 7


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    counts(tmp_path_factory.mktemp("imports"), 7 * _BATCH, _BATCH)  # imports and learned layouts
    few, many = (counts(tmp_path_factory.mktemp("home"), n * _BATCH, _BATCH) for n in (3, 7))
    return Runs(few, many)


def test_a_batch_is_one_commit_per_table(runs: Runs) -> None:
    assert (runs.few.rounds, runs.many.rounds) == (3, 7)
    assert (runs.few.commits, runs.many.commits) == (9, 21)  # bronze, silver.pos_items, silver.pos_transactions


def test_all_pending_batches_are_one_refresh(runs: Runs) -> None:
    assert (runs.few.refreshes, runs.many.refreshes) == (1, 1)


def test_a_batch_writes_one_file_per_table_and_day(runs: Runs) -> None:
    """The corpus has seven days and late events: a batch of one seventh covers two or three days."""
    assert runs.many.data_files <= 7 * (1 + 2 * 3)


def test_the_bytes_per_event_are_bounded(runs: Runs) -> None:
    assert runs.many.data_bytes / 7 / _BATCH <= BYTES_AN_EVENT


def test_the_python_calls_per_batch_are_bounded(runs: Runs) -> None:
    """Most calls are PyIceberg's, per commit. No call is made per record."""
    assert (runs.many.calls - runs.few.calls) / 4 <= CALLS_A_BATCH


def test_the_python_calls_per_refresh_are_bounded(runs: Runs) -> None:
    assert runs.many.gold_calls <= CALLS_A_REFRESH


BYTES_AN_EVENT = 205
CALLS_A_BATCH = 120_000
CALLS_A_REFRESH = 185_000
