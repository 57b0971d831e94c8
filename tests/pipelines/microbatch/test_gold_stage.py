"""The gold stage refreshes with the rows that silver handed over, and returns what readers see."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake
from pipelines.microbatch.context import RunContext
from pipelines.microbatch.gold_stage import GoldHandle, GoldStage, GoldWriter, Published
from pipelines.microbatch.pacing import BatchPacer
from pipelines.microbatch.report import RunReport
from pipelines.microbatch.silver_stage import AppendedRows, SilverPosition, SilverRound
from pipelines.silver.changes import SilverChanges

pytestmark = pytest.mark.usefixtures("without_settings")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TABLE = "silver.inventory_updates"


@dataclass
class Refreshed:
    published: bool


@dataclass
class Gold:
    """A gold writer that records what it gets; while `blocked` is set, refreshes wait."""

    publishes: bool = True
    seen: list[dict[str, list[int]]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    snapshots: Mapping[str, int] = field(default_factory=dict)
    free: threading.Event = field(default_factory=threading.Event)

    def reflected(self) -> Mapping[str, int]:
        return self.snapshots

    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        self.free.wait(5)
        self.seen.append({name: rows["n"].to_pylist() for name, rows in changes.tables.items()})
        self.snapshots = changes.snapshots
        return Refreshed(self.publishes)

    def complete_deferred(self, now: datetime) -> None:
        self.calls.append("complete_deferred")

    def archive_closed_days(self) -> bool:
        return False

    def publish(self) -> None:
        self.calls.append("publish")

    def discard(self) -> None:
        self.calls.append("discard")


Make = Callable[..., GoldStage]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    settings, stages = load_settings(home=tmp_path), list[GoldStage]()
    with closing(Lake.open(settings)) as lake:

        def stage(gold: GoldWriter | Callable[[], GoldWriter], stop: threading.Event | None = None) -> GoldStage:
            run = RunContext(settings, False, lambda: NOW, stop or threading.Event(), RunReport(), lambda _: None)
            stages.append(GoldStage(run, lake, GoldHandle(gold), BatchPacer(1.0)))
            return stages[-1]

        yield stage
        for one in stages:
            one.close()


def appended(base: int | None, snapshot: int, *numbers: int) -> SilverRound:
    return SilverRound([AppendedRows(TABLE, base, snapshot, pa.table({"n": list(numbers)}))])


def position(consumed: int) -> SilverPosition:
    return SilverPosition({"inventory-updates": consumed}, {})


def test_a_refresh_takes_the_rows_of_all_rounds_since_the_last_one(make: Make) -> None:
    gold = Gold()
    stage = make(gold)
    stage.add(appended(None, 1, 1, 2))
    assert stage.advance(position(1)) is None
    stage.add(appended(1, 2, 3))
    stage.add(appended(2, 3, 4, 5))
    gold.free.set()
    assert stage.finish(position(3)) == [
        Published({"inventory-updates": 1}, NOW),
        Published({"inventory-updates": 3}, NOW),
        Published({"inventory-updates": 3}, NOW),
    ]
    assert gold.seen == [{"inventory_updates": [1, 2]}, {"inventory_updates": [3, 4, 5]}]


def test_rows_handed_over_before_a_conflict_are_not_used(make: Make) -> None:
    gold = Gold(snapshots={TABLE: 1})
    gold.free.set()
    stage = make(gold)
    stage.add(appended(1, 2, 1))
    stage.add(SilverRound([AppendedRows(TABLE, 1, 9, pa.table({"n": [7]}))], conflict=True))
    stage.finish(position(2))
    assert gold.seen == [{"inventory_updates": [7]}]


def test_rows_that_do_not_continue_what_gold_reflects_are_not_used(make: Make) -> None:
    gold = Gold(snapshots={"silver.pos_items": 5})
    gold.free.set()
    stage = make(gold)
    stage.add(appended(3, 4, 1))  # gold reflects no snapshot of the table, and the lake holds no such table
    stage.finish(position(1))
    assert [rows for seen in gold.seen for rows in seen.values()] == []


def test_a_refresh_that_is_not_published_yet_returns_nothing_until_it_is(make: Make) -> None:
    gold = Gold(publishes=False)
    gold.free.set()
    stage = make(gold)
    stage.add(appended(None, 1, 1))
    assert stage.finish(position(4)) == [Published({"inventory-updates": 4}, NOW)]
    assert gold.calls == ["complete_deferred"]


def test_snapshots_are_not_pinned_while_a_refresh_is_under_way(make: Make) -> None:
    gold = Gold(snapshots={TABLE: 1})
    stage = make(gold)
    assert stage.pinned_snapshots() == {1}
    stage.add(appended(1, 2, 1))
    stage.advance(position(1))
    assert stage.pinned_snapshots() is None
    gold.free.set()
    stage.finish(position(1))
    assert stage.pinned_snapshots() == {2}


def test_the_writer_is_opened_once_at_its_first_use(make: Make) -> None:
    opened: list[Gold] = []

    def open_gold() -> GoldWriter:
        opened.append(Gold())
        return opened[-1]

    stage = make(open_gold)
    assert opened == []
    stage.pinned_snapshots()
    stage.finish(position(1))
    assert len(opened) == 1


def test_a_stopped_run_publishes_and_does_not_open_the_writer_for_it(make: Make) -> None:
    stop = threading.Event()
    stop.set()
    gold = Gold()
    make(gold, stop).finish(position(1))
    assert gold.calls == ["publish"]

    def open_gold() -> GoldWriter:
        raise AssertionError("the writer was opened")

    make(open_gold, stop).finish(position(1))
