"""`animeverse maintain`: merge small files, expire snapshots, delete unreferenced files, apply bronze retention.

Table contents do not change, only the length of the history: of time travel and, where an age is set, of bronze. A
process killed at any point leaves unreferenced files, which a later call deletes. `background.py` does the same in
small pieces while the pipeline runs.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.clock import Clock, utc_now
from pipelines.config.settings import Settings
from pipelines.errors import CheckFailedError, CommitConflictError
from pipelines.home_lock import home_lock, is_locked
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.lake.compaction import Group, at_rest
from pipelines.lake.orphan_files import delete, unreferenced
from pipelines.lake.rewrite import Rewrite, discard, file_lines, write_anew
from pipelines.maintenance.bronze_retention import plan_retention
from pipelines.silver.rebuild import LOCK, PREFIX

# Sort orders of compacted files; the first whose columns the table has applies. They give row groups narrow bounds:
# bronze is read by batch, silver by day and time, the quarantine by record, the ledger by batch.
SORTS: Sequence[tuple[str, ...]] = (
    ("batch_id", "partition", "offset"),
    ("event_time", "_partition", "_offset"),
    ("topic", "partition", "offset"),
    ("topic", "batch_id"),
)
_COMMIT_BYTES = 1 << 30  # of small files replaced in one commit
SNAPSHOTS_PER_COMMIT = 40  # snapshots expired in one commit; the cost grows with the square of their number
_MAX_ROUNDS = 10  # files smaller than estimated are merged again; each round leaves fewer


@dataclass(slots=True)
class TableReport:
    """What was done to a table, or would be done with `dry_run`."""

    table: str
    removed: int = 0  # rows of bronze older than ANIMEVERSE_BRONZE_RETENTION
    files: int = 0  # small files replaced
    into: int = 0  # files written instead
    bytes: int = 0  # of the small files
    partitions: int = 0  # table partitions compacted
    expired: int = 0  # snapshots
    deleted: int = 0  # unreferenced files
    deleted_bytes: int = 0
    paths: list[str] = field(default_factory=list)  # of the unreferenced files
    note: str | None = None  # why something was left to the next call


@dataclass(slots=True)
class Report:
    """What was done, or would be done with `dry_run`."""

    dry_run: bool
    tables: list[TableReport] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)  # folders of rebuilds whose process has ended

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
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
    """Maintain all tables, one after the other, with the home's lock. `pinned` are the snapshots that gold reflects.

    `say` receives the name of each table, and `stopped` is asked between pieces of work. With `dry_run` nothing is
    changed and no lock is taken. Raises NoLakehouseError, AlreadyRunningError.
    """
    lake = open_lakehouse(settings)
    try:
        if dry_run:
            tables = [_plan(lake, table, settings, pinned, clock()) for table in _tables(lake)]
            return Report(True, tables, _abandoned_rebuilds(settings))
        with home_lock(settings.home):
            report = Report(False)
            for table in _tables(lake):
                if stopped():
                    break
                say(table.name)
                report.tables.append(_maintain_table(lake, table, settings, pinned, stopped, clock))
            for folder in _abandoned_rebuilds(settings):
                shutil.rmtree(folder, ignore_errors=True)
                report.leftovers.append(folder)
            return report
    finally:
        lake.close()


def sort_of(columns: Collection[str]) -> tuple[str, ...]:
    """The columns by which compacted rows of a table are sorted; () if they keep their order."""
    return next((sort for sort in SORTS if set(sort) <= set(columns)), ())


def small_files(table: LakeTable, gone: Collection[str] = ()) -> list[Group]:
    """The files that compaction would merge. `gone` are paths of files to ignore, as if they were removed."""
    files = file_lines(table, next(iter(sort_of(table.columns)), None))
    return at_rest(file for file in files if file.path not in gone)


def _tables(lake: Lake) -> Iterator[LakeTable]:
    for name in lake.names():
        found = lake.find(name)
        if found is not None:
            yield found


def _plan(lake: Lake, table: LakeTable, settings: Settings, pinned: Collection[int], now: datetime) -> TableReport:
    report = TableReport(table.name)
    gone: Collection[str] = ()
    try:
        if (plan := plan_retention(lake, table.name, settings, now)) is not None:
            report.removed, gone = plan.rows, plan.paths
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


def _maintain_table(
    lake: Lake,
    table: LakeTable,
    settings: Settings,
    pinned: Collection[int],
    stopped: Callable[[], bool],
    clock: Clock,
) -> TableReport:
    report = TableReport(table.name)
    try:
        if (plan := plan_retention(lake, table.name, settings, clock())) is not None:
            plan.commit(table)
            report.removed = plan.rows
    except (CheckFailedError, CommitConflictError) as error:
        report.note = str(error)
    try:
        _compact(table, report, stopped)
        while expired := table.expendable(clock(), settings.retention, pinned)[:SNAPSHOTS_PER_COMMIT]:
            table.expire(expired)
            report.expired += len(expired)
    except CommitConflictError as error:
        report.note = str(error)
    orphans = unreferenced(table, clock() - settings.orphan_age)
    report.deleted, report.deleted_bytes = delete(table, orphans), sum(file.size for file in orphans)
    report.paths = [file.path for file in orphans]
    return report


def _compact(table: LakeTable, report: TableReport, stopped: Callable[[], bool]) -> None:
    """Replace the table's small files, up to _COMMIT_BYTES of them in a commit."""
    for _ in range(_MAX_ROUNDS):
        groups = small_files(table)
        if not groups:
            return
        while groups:
            portion: list[Group] = []
            while groups and (not portion or sum(g.size for g in (*portion, groups[0])) <= _COMMIT_BYTES):
                portion.append(groups.pop(0))
            if stopped() or not _compact_portion(table, portion, stopped):
                return
            _count(report, portion)


def _compact_portion(table: LakeTable, groups: Sequence[Group], stopped: Callable[[], bool]) -> bool:
    rewrites: list[Rewrite] = []
    is_complete = False
    try:
        for group in groups:
            rewrite = write_anew(table, group, sort_of(table.columns), stopped)
            if rewrite is None:
                break
            rewrites.append(rewrite)
        is_complete = len(rewrites) == len(groups)
    finally:
        if not is_complete:
            _discard(table, rewrites)
    if is_complete:
        replace(table, rewrites)
    return is_complete


def replace(table: LakeTable, rewrites: Sequence[Rewrite]) -> None:
    """Commit rewrites in one overwrite snapshot. On CommitConflictError, delete the files written.

    After any other error it is unknown whether the commit happened, so the files stay. If it did not, they are
    unreferenced and a later call deletes them.
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


def _abandoned_rebuilds(settings: Settings) -> list[str]:
    """Folders of rebuilds whose process has ended."""
    before = datetime.now(UTC) - settings.orphan_age
    return [
        str(folder)
        for folder in sorted(settings.home.glob(f"{PREFIX}*"))
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < before and not is_locked(folder, LOCK)
    ]
