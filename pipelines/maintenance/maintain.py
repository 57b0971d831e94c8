"""`animeverse maintain`: small files become few, old snapshots go, and so do files that nothing refers to any more.

Nothing that can be read is changed but the length of the history: of time travel and, where an age is set, of bronze. A
process that dies anywhere in here leaves files that nothing refers to, and a later call removes them. While the
pipeline runs, `upkeep` does the same bit by bit.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.clock import Clock, utc_now
from pipelines.config.settings import Settings
from pipelines.errors import CheckFailedError, CommitConflictError
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.lake.compaction import Group, at_rest
from pipelines.lake.orphan_files import delete, unreferenced
from pipelines.lake.rewrite import Rewrite, discard, file_lines, write_anew
from pipelines.maintenance.bronze_retention import plan_retention
from pipelines.silver.rebuild import LOCK, PREFIX

# The rows of a compacted file lie in this order, the first of these that the table has, so that its parts have narrow
# bounds: bronze is read by batch, silver by day and time, the quarantine by place, the ledger by batch.
SORTS: Sequence[tuple[str, ...]] = (
    ("batch_id", "partition", "offset"),
    ("event_time", "_partition", "_offset"),
    ("topic", "partition", "offset"),
    ("topic", "batch_id"),
)
_COMMIT_BYTES = 1 << 30  # of small files replaced in one commit
PORTION = 40  # snapshots expired in one commit: the cost grows with the square
_ROUNDS = 10  # files that came out smaller than foreseen are merged again; each round leaves fewer


@dataclass(slots=True)
class TableReport:
    """What was done to a table, or with `dry_run` would be."""

    table: str
    removed: int = 0  # rows of bronze older than ANIMEVERSE_BRONZE_RETENTION
    files: int = 0  # small ones replaced
    into: int = 0  # files that took their place
    bytes: int = 0  # of the small ones
    partitions: int = 0  # table partitions compacted
    expired: int = 0  # snapshots
    deleted: int = 0  # files that nothing refers to
    deleted_bytes: int = 0
    paths: list[str] = field(default_factory=list)  # of those
    note: str | None = None  # why something was left for the next time


@dataclass(slots=True)
class Report:
    """What was done, or with `dry_run` would be."""

    dry_run: bool
    tables: list[TableReport] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)  # folders of rebuilds that died

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def maintain(
    settings: Settings,
    *,
    dry_run: bool = False,
    pinned: Collection[int] = (),
    stopped: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
    clock: Clock = utc_now,
) -> Report:
    """Maintain all tables, one after the other; never beside `run`. `pinned` are the snapshots that gold reflects.

    Raises NoLakehouseError, AlreadyRunningError. With `dry_run` nothing is changed, and a run may go on beside it.
    """
    lake = open_lakehouse(settings)
    try:
        if dry_run:
            tables = [_foreseen(lake, table, settings, pinned, clock()) for table in _tables(lake)]
            return Report(True, tables, _dead(settings))
        with home_lock(settings.home):
            report = Report(False)
            for table in _tables(lake):
                if stopped():
                    break
                say(table.name)
                report.tables.append(_table(lake, table, settings, pinned, stopped, clock))
            for folder in _dead(settings):
                shutil.rmtree(folder, ignore_errors=True)
                report.leftovers.append(folder)
            return report
    finally:
        lake.close()


def sort_of(columns: Collection[str]) -> tuple[str, ...]:
    """By which columns a table's compacted rows are sorted; (): as they are."""
    return next((sort for sort in SORTS if set(sort) <= set(columns)), ())


def small_files(table: LakeTable, gone: Collection[str] = ()) -> list[Group]:
    """What compaction would merge; `gone` are paths of files to be taken as removed already."""
    lines = file_lines(table, next(iter(sort_of(table.columns)), None))
    return at_rest(line for line in lines if line.path not in gone)


def _tables(lake: Lake) -> Iterator[LakeTable]:
    for name in lake.names():
        found = lake.find(name)
        if found is not None:
            yield found


def _foreseen(lake: Lake, table: LakeTable, settings: Settings, pinned: Collection[int], now: datetime) -> TableReport:
    report = TableReport(table.name)
    gone: Collection[str] = ()
    try:
        if (cutting := plan_retention(lake, table.name, settings, now)) is not None:
            report.removed, gone = cutting.rows, cutting.paths
    except CheckFailedError as error:
        report.note = str(error)
    _count(report, small_files(table, gone))
    expired = table.expendable(now, settings.retention, pinned)
    report.expired = len(expired)
    orphans = unreferenced(table, now - settings.orphan_age, expired)
    report.deleted, report.deleted_bytes = len(orphans), sum(file.size for file in orphans)
    report.paths = [file.path for file in orphans]
    return report


def _count(report: TableReport, groups: Sequence[Group]) -> None:
    report.files += sum(len(group.files) for group in groups)
    report.into += sum(group.into for group in groups)
    report.bytes += sum(group.size for group in groups)
    report.partitions += len({group.partition for group in groups})


def _table(
    lake: Lake,
    table: LakeTable,
    settings: Settings,
    pinned: Collection[int],
    stopped: Callable[[], bool],
    clock: Clock,
) -> TableReport:
    report = TableReport(table.name)
    try:
        if (cutting := plan_retention(lake, table.name, settings, clock())) is not None:
            cutting.commit(table)
            report.removed = cutting.rows
    except (CheckFailedError, CommitConflictError) as error:
        report.note = str(error)
    try:
        _compact(table, report, stopped)
        while expired := table.expendable(clock(), settings.retention, pinned)[:PORTION]:
            table.expire(expired)
            report.expired += len(expired)
    except CommitConflictError as error:
        report.note = str(error)
    orphans = unreferenced(table, clock() - settings.orphan_age)
    report.deleted, report.deleted_bytes = delete(table, orphans), sum(file.size for file in orphans)
    report.paths = [file.path for file in orphans]
    return report


def _compact(table: LakeTable, report: TableReport, stopped: Callable[[], bool]) -> None:
    """Replace the table's small files, a gigabyte of them a commit."""
    for _ in range(_ROUNDS):
        groups = small_files(table)
        if not groups:
            return
        while groups:
            share: list[Group] = []
            while groups and (not share or sum(g.size for g in (*share, groups[0])) <= _COMMIT_BYTES):
                share.append(groups.pop(0))
            if stopped() or not _compact_share(table, share, stopped):
                return
            _count(report, share)


def _compact_share(table: LakeTable, groups: Sequence[Group], stopped: Callable[[], bool]) -> bool:
    rewrites: list[Rewrite] = []
    is_whole = False
    try:
        for group in groups:
            rewrite = write_anew(table, group, sort_of(table.columns), stopped)
            if rewrite is None:
                break
            rewrites.append(rewrite)
        is_whole = len(rewrites) == len(groups)
    finally:
        if not is_whole:
            _discard(table, rewrites)
    if is_whole:
        replace(table, rewrites)
    return is_whole


def replace(table: LakeTable, rewrites: Sequence[Rewrite]) -> None:
    """Commit rewrites in one overwrite snapshot. On CommitConflictError what was written is deleted.

    After another error nobody knows whether the commit happened: the files stay, and are orphans if it did not.
    """
    old = [file for rewrite in rewrites for file in rewrite.old]
    new = [file for rewrite in rewrites for file in rewrite.new]
    try:
        table.replace_files(old, new)
    except CommitConflictError:
        _discard(table, rewrites)
        raise


def _discard(table: LakeTable, rewrites: Sequence[Rewrite]) -> None:
    for rewrite in rewrites:
        discard(table.iceberg.io, rewrite.new)


def _dead(settings: Settings) -> list[str]:
    """Folders of rebuilds whose process is gone."""
    before = datetime.now(UTC) - settings.orphan_age
    return [
        str(folder)
        for folder in sorted(settings.home.glob(f"{PREFIX}*"))
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < before and not _is_held(folder / f"{LOCK}.lock")
    ]


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
