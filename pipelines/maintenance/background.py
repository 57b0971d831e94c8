"""Maintenance beside a running pipeline: in small pieces, while the pipeline is idle, without blocking its commits.

A separate thread with its own table objects does the long part: it rewrites rows and finds unreferenced files. The
thread that owns a table does the short part, the commit, so the two never conflict.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.config.settings import Settings
from pipelines.errors import LakehouseError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.lake.compaction import under_way
from pipelines.lake.orphan_files import delete, unreferenced
from pipelines.lake.rewrite import Rewrite, discard, file_lines, write_anew
from pipelines.maintenance.bronze_retention import RetentionPlan, plan_retention
from pipelines.maintenance.maintain import SNAPSHOTS_PER_COMMIT, replace, sort_of

_EVERY = 20  # commits between two checks of a table
_PAUSE = 0.2  # seconds between two pieces of work

Commit = Callable[[], None]


@dataclass(frozen=True, slots=True)
class OwnedTable:
    """A table, and a function that runs a commit in the thread that owns it."""

    table: LakeTable
    do: Callable[[Commit], None]


@dataclass(frozen=True, slots=True)
class _Job:
    owned: OwnedTable
    work: "Future[Rewrite | RetentionPlan | None]"


class BackgroundMaintenance:
    """One piece of work at a time. Call `expire` in the thread that owns the tables, the rest in the loop's thread.

    `say` receives messages for the user.
    """

    def __init__(
        self, lake: Lake, settings: Settings, clock: Callable[[], datetime], say: Callable[[str], None]
    ) -> None:
        self._lake, self._settings, self._retention = lake, settings, settings.retention
        self._clock, self._say = clock, say
        self._executor = ThreadPoolExecutor(1, "maintenance")
        self._closing = False
        self._job: _Job | None = None
        self._expired_at: dict[str, int] = {}  # table -> its commits when its snapshots were checked
        self._planned_at: dict[str, int] = {}  # table -> its commits when its files were checked
        self._cleaned_at: dict[str, datetime] = {}  # table -> when unreferenced files were deleted
        self._paused_until = 0.0

    def expire(self, tables: Iterable[LakeTable], pinned: Collection[int] = ()) -> None:
        """Expire some snapshots of the first table that is due. The next calls do the other tables.

        `pinned` snapshots and all after them stay. Appends slow down with the number of snapshots retained. A call
        expires few, since the cost grows with the square of their number.
        """
        for table in tables:
            if table.sequence - self._expired_at.get(table.name, -_EVERY) < _EVERY:
                continue
            self._expired_at[table.name] = table.sequence
            old = table.expendable(self._clock(), self._retention, pinned)
            if len(old) >= _EVERY:
                if len(old) > SNAPSHOTS_PER_COMMIT:
                    del self._expired_at[table.name]
                with suppress(LakehouseError):  # retried after some commits
                    table.expire(old[:SNAPSHOTS_PER_COMMIT])
                return

    def step(self, owned: Sequence[OwnedTable]) -> None:
        """Start a piece of work, or commit the one that is done. Returns at once unless it commits."""
        if self._job is not None:
            if self._job.work.done():
                job, self._job = self._job, None
                self._finish(job)
        elif time.monotonic() >= self._paused_until:
            self._paused_until = time.monotonic() + _PAUSE
            self._begin(owned)

    def _begin(self, owned: Sequence[OwnedTable]) -> None:
        for each in owned:
            name, sequence = each.table.name, each.table.sequence
            if sequence - self._planned_at.get(name, 0) >= _EVERY:
                self._planned_at[name] = sequence
                self._job = _Job(each, self._executor.submit(self._rewrite, name))
                return
        now = self._clock()
        for each in owned:
            name = each.table.name
            if now - self._cleaned_at.setdefault(name, now) >= max(self._retention.grace, timedelta(minutes=10)):
                self._cleaned_at[name] = now
                self._job = _Job(each, self._executor.submit(self._clean, name, now))
                return

    def _rewrite(self, name: str) -> Rewrite | None:
        table = self._lake.table(name)
        sort = sort_of(table.columns)
        groups = under_way(file_lines(table, next(iter(sort), None)))
        if not groups:
            return None
        if len(groups) > 1:
            self._planned_at[name] = -_EVERY  # check it again at the next step
        return write_anew(table, groups[0], sort, lambda: self._closing)

    def _clean(self, name: str, now: datetime) -> RetentionPlan | None:
        table = self._lake.table(name)
        delete(table, unreferenced(table, now - self._retention.grace))
        return plan_retention(self._lake, name, self._settings, now)

    def _finish(self, job: _Job) -> None:
        try:
            result = job.work.result()
            if isinstance(result, Rewrite):
                job.owned.do(lambda: replace(job.owned.table, [result]))
            elif result is not None:
                job.owned.do(lambda: result.commit(job.owned.table))
                self._say(f"{job.owned.table.name}: {result.rows:,} records older than the retention were removed")
        except LakehouseError as error:
            self._say(f"maintenance of {job.owned.table.name} was postponed: {error}")

    def close(self) -> None:
        """Cancel the work under way and delete the files it wrote."""
        self._closing = True
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._job is not None:
            with suppress(Exception):  # cancelled or failed: it left no files
                result = self._job.work.result(timeout=0)
                if isinstance(result, Rewrite):
                    discard(self._job.owned.table.iceberg.io, result.new)
