"""A guard that does not flake: what a run costs in counts, which no busy machine changes. Bounds are 1.3 x of now."""

from dataclasses import dataclass

import pytest

from benchmarks.counts import Counts, counts

pytestmark = [pytest.mark.usefixtures("without_settings"), pytest.mark.slow]

_BATCH = 1_000


@dataclass(frozen=True)
class Runs:
    """The same work in few and in many batches; the difference is what a batch costs."""

    few: Counts  # 3 batches
    many: Counts  # 7


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    counts(tmp_path_factory.mktemp("imports"), 7 * _BATCH, _BATCH)  # what is imported or learned once
    few, many = (counts(tmp_path_factory.mktemp("home"), n * _BATCH, _BATCH) for n in (3, 7))
    return Runs(few, many)


def test_a_batch_is_one_commit_a_table(runs: Runs) -> None:
    assert (runs.few.rounds, runs.many.rounds) == (3, 7)
    assert (runs.few.commits, runs.many.commits) == (9, 21)  # bronze, silver.pos_items, silver.pos_transactions


def test_what_waits_for_gold_is_one_refresh(runs: Runs) -> None:
    assert (runs.few.refreshes, runs.many.refreshes) == (1, 1)


def test_a_batch_writes_a_file_a_table_and_day(runs: Runs) -> None:
    """The corpus has seven days and late events: a batch of a seventh of it touches two or three days."""
    assert runs.many.data_files <= 7 * (1 + 2 * 3)


def test_a_million_events_take_so_many_bytes(runs: Runs) -> None:
    assert runs.many.data_bytes / 7 / _BATCH <= BYTES_AN_EVENT


def test_a_batch_makes_so_many_python_calls(runs: Runs) -> None:
    """Most are PyIceberg's, a commit at a time: none are made for each record."""
    assert (runs.many.calls - runs.few.calls) / 4 <= CALLS_A_BATCH


def test_a_refresh_makes_so_many_python_calls(runs: Runs) -> None:
    assert runs.many.gold_calls <= CALLS_A_REFRESH


BYTES_AN_EVENT = 205
CALLS_A_BATCH = 120_000
CALLS_A_REFRESH = 185_000
