"""Observers see each batch after its silver commit, and never stop a run."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.errors import StoreUnavailableError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.microbatch.loop import run
from pipelines.microbatch.observers import BatchObserver
from pipelines.microbatch.report import RunReport
from pipelines.operations.verify import verify
from pipelines.silver.batch import Outcome
from pipelines.silver.state import consumed_through
from pipelines.silver.topic import SilverTopic
from tests.pipelines.small_home import TOPIC, movement, rows, send

pytestmark = pytest.mark.usefixtures("without_settings")


class Recorder:
    """Records its calls; `fails` is raised by each call of `committed`."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.opened: list[Mapping[str, int]] = []
        self.seen: list[tuple[str, int, int]] = []  # topic, last batch, rows accepted
        self.fails = fails

    def open(self, lake: Lake, consumed: Mapping[str, int]) -> None:
        self.opened.append(consumed)

    def committed(self, outcome: Outcome) -> None:
        self.seen.append((outcome.topic, outcome.through, outcome.accepted.num_rows))
        if self.fails is not None:
            raise self.fails

    def tables(self) -> Sequence[LakeTable]:
        return ()


def observed(home: Path, *observers: BatchObserver, notes: list[str] | None = None, **settings: Any) -> RunReport:
    """Run bronze and silver until caught up."""
    return run(
        load_settings(home=home, **settings),
        ("bronze", "silver"),
        follow=False,
        gold=None,
        clock=lambda: datetime.now(UTC),
        progress=lambda progress: notes.append(progress.note) if progress.note and notes is not None else None,
        stop=threading.Event(),
        observers=observers,
    )


def test_an_observer_sees_each_batch_once(tmp_path: Path) -> None:
    send(tmp_path, [movement(number) for number in range(5)])
    one, other = Recorder(), Recorder()
    observed(tmp_path, one, other, batch_size=2)
    assert one.seen == other.seen == [(TOPIC, 1, 2), (TOPIC, 2, 2), (TOPIC, 3, 1)]
    assert one.opened == [dict.fromkeys(TOPICS, 0)]


def test_an_observer_is_called_after_the_commit(tmp_path: Path) -> None:
    send(tmp_path, [movement(number) for number in range(4)])
    committed: list[tuple[int, int, int]] = []

    class Reader(Recorder):
        def committed(self, outcome: Outcome) -> None:
            settings = load_settings(home=tmp_path)
            with closing(Lake.open(settings)) as lake:
                through = consumed_through(lake, TOPIC)
            committed.append((outcome.through, through, rows(settings, "silver.inventory_updates").height))

    observed(tmp_path, Reader(), batch_size=2)
    assert committed == [(1, 1, 2), (2, 2, 4)]


def test_a_later_run_reports_how_far_silver_is_and_repeats_no_batch(tmp_path: Path) -> None:
    send(tmp_path, [movement(number) for number in range(3)])
    observed(tmp_path, Recorder(), batch_size=1)
    later = Recorder()
    observed(tmp_path, later)
    assert later.seen == []
    assert later.opened == [dict.fromkeys(TOPICS, 0) | {TOPIC: 3}]


def test_a_batch_whose_commit_did_not_happen_is_observed_when_it_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tmp_path, [movement(0)])
    observer = Recorder()
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.microbatch.silver_stage.fault_point", _crash)
        with pytest.raises(_CrashError):
            observed(tmp_path, observer)
    assert observer.seen == []
    observed(tmp_path, observer)
    assert observer.seen == [(TOPIC, 1, 1)]
    assert [opened[TOPIC] for opened in observer.opened] == [0, 0]


def test_a_crash_between_commit_and_call_shows_in_the_position_the_observer_is_opened_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tmp_path, [movement(0)])
    observer, commit = Recorder(), SilverTopic.commit

    def commit_and_crash(topic: SilverTopic, outcome: Outcome) -> int:
        commit(topic, outcome)
        raise _CrashError

    with monkeypatch.context() as patched:
        patched.setattr(SilverTopic, "commit", commit_and_crash)
        with pytest.raises(_CrashError):
            observed(tmp_path, observer)
    observed(tmp_path, observer)
    assert observer.seen == []
    assert [opened[TOPIC] for opened in observer.opened] == [0, 1]


def test_an_observer_with_its_own_position_misses_no_batch_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It catches up from silver's tables when it is opened: at least once, and its position makes that exactly once."""
    send(tmp_path, [movement(number) for number in range(3)])
    observer = RowCounter()
    with monkeypatch.context() as patched:
        patched.setattr(RowCounter, "committed", _crash)
        with pytest.raises(_CrashError):
            observed(tmp_path, observer, batch_size=2)
    observed(tmp_path, observer, batch_size=2)
    counts = rows(load_settings(home=tmp_path), "ops.row_counts").sort("through")
    assert counts["through"].to_list() == [1, 2]
    assert counts["rows"].sum() == 3


@pytest.mark.parametrize(
    ("error", "calls"), [(StoreUnavailableError("the disk is full"), 3), (ValueError("a defect"), 1)]
)
def test_an_observer_that_fails_stops_neither_the_run_nor_other_observers(
    tmp_path: Path, error: Exception, calls: int
) -> None:
    send(tmp_path, [movement(number) for number in range(3)])
    failing, other, notes = Recorder(error), Recorder(), list[str]()
    assert observed(tmp_path, failing, other, notes=notes, batch_size=1).judged == 3
    assert (len(failing.seen), len(other.seen), len(notes)) == (calls, 3, calls)
    assert all("Observer Recorder failed" in note and str(error) in note for note in notes)
    assert [check.name for check in verify(load_settings(home=tmp_path)) if not check.ok] == []


def test_an_observer_that_cannot_open_is_not_called(tmp_path: Path) -> None:
    class Closed(Recorder):
        def open(self, lake: Lake, consumed: Mapping[str, int]) -> None:
            raise StoreUnavailableError("the disk is full")

    send(tmp_path, [movement(0)])
    closed, notes = Closed(), list[str]()
    assert observed(tmp_path, closed, notes=notes).judged == 1
    assert (closed.seen, notes) == ([], ["Observer Closed failed: the disk is full"])


def test_snapshots_of_an_observers_table_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.maintenance.background._EVERY", 5)
    send(tmp_path, [movement(number) for number in range(12)])
    keep: dict[str, Any] = {"keep_commits": 3, "keep_hourly": 0, "keep_daily": 0}
    observed(tmp_path, RowCounter(), batch_size=1, **keep)
    with closing(Lake.open(load_settings(home=tmp_path))) as lake:
        table = lake.table("ops.row_counts")
        assert table.read().num_rows == 12
        assert table.snapshot_count < 12


class RowCounter:
    """Keeps a table with the rows of each batch of a topic, and its position in the table's snapshots."""

    SCHEMA = pa.schema([pa.field("through", pa.int64()), pa.field("rows", pa.int64())])

    def open(self, lake: Lake, consumed: Mapping[str, int]) -> None:
        self.table = lake.ensure("ops.row_counts", self.SCHEMA)
        counted = sum(self.table.read(columns=["rows"])["rows"].to_pylist())
        if int(self.table.checkpoint().get("consumed", 0)) < consumed[TOPIC]:
            accepted = lake.table("silver.inventory_updates").read(columns=["event_id"]).num_rows
            self._append(consumed[TOPIC], accepted - counted)

    def committed(self, outcome: Outcome) -> None:
        self._append(outcome.through, outcome.accepted.num_rows)

    def tables(self) -> Sequence[LakeTable]:
        return (self.table,)

    def _append(self, through: int, count: int) -> None:
        self.table.append(
            pa.table({"through": [through], "rows": [count]}, schema=self.SCHEMA), {"consumed": str(through)}
        )


class _CrashError(BaseException):
    """Ends a run as a killed process would: nothing handles it."""


def _crash(*_arguments: object) -> None:
    raise _CrashError
