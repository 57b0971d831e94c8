"""Maintenance beside a running pipeline: bit by bit, in its idle moments, and never in the way of a commit.

The long part, writing rows anew and looking for files that nothing refers to, is done by a thread of its own with
tables of its own. The short part, the commit, is done by whoever holds the table, so that it conflicts with nobody.
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
from pipelines.maintenance.maintain import PORTION, replace, sort_of

_EVERY = 20  # commits after which a table is looked at again
_PAUSE = 0.2  # seconds between two pieces of work

Commit = Callable[[], None]


@dataclass(frozen=True, slots=True)
class OwnedTable:
    """A table and a way to have something done by the thread that holds it."""

    table: LakeTable
    do: Callable[[Commit], None]


@dataclass(frozen=True, slots=True)
class _Job:
    owned: OwnedTable
    work: "Future[Rewrite | RetentionPlan | None]"


class BackgroundMaintenance:
    """What is under way. `expire` belongs to the thread that holds the tables, the rest to the one that is idle."""

    def __init__(
        self, lake: Lake, settings: Settings, clock: Callable[[], datetime], say: Callable[[str], None]
    ) -> None:
        self._lake, self._settings, self._retention = lake, settings, settings.retention
        self._clock, self._say = clock, say
        self._worker = ThreadPoolExecutor(1, "upkeep")
        self._closing = False
        self._job: _Job | None = None
        self._expired_at: dict[str, int] = {}  # table -> commits when its snapshots were looked at
        self._planned_at: dict[str, int] = {}  # table -> commits when its files were
        self._swept_at: dict[str, datetime] = {}  # table -> when orphans were looked for
        self._paused_until = 0.0

    def expire(self, tables: Iterable[LakeTable], pinned: Collection[int] = ()) -> None:
        """Expire some snapshots of the first table that is due; the others' turn comes with the next calls.

        Appends slow down with the snapshots retained. Few are expired at once: the cost grows with the square.
        """
        for table in tables:
            if table.sequence - self._expired_at.get(table.name, -_EVERY) < _EVERY:
                continue
            self._expired_at[table.name] = table.sequence
            old = table.expendable(self._clock(), self._retention, pinned)
            if len(old) >= _EVERY:
                if len(old) > PORTION:
                    del self._expired_at[table.name]
                with suppress(LakehouseError):  # it is tried again after some commits
                    table.expire(old[:PORTION])
                return

    def step(self, owned: Sequence[OwnedTable]) -> None:
        """Begin a piece of work, or end the one that is done; returns at once but for a commit."""
        if self._job is not None:
            if self._job.work.done():
                job, self._job = self._job, None
                self._finish(job)
        elif time.monotonic() >= self._paused_until:
            self._paused_until = time.monotonic() + _PAUSE
            self._begin(owned)

    def _begin(self, owned: Sequence[OwnedTable]) -> None:
        for one in owned:
            name, sequence = one.table.name, one.table.sequence
            if sequence - self._planned_at.get(name, 0) >= _EVERY:
                self._planned_at[name] = sequence
                self._job = _Job(one, self._worker.submit(self._write, name))
                return
        now = self._clock()
        for one in owned:
            name = one.table.name
            if now - self._swept_at.setdefault(name, now) >= max(self._retention.grace, timedelta(minutes=10)):
                self._swept_at[name] = now
                self._job = _Job(one, self._worker.submit(self._sweep, name, now))
                return

    def _write(self, name: str) -> Rewrite | None:
        table = self._lake.table(name)
        sort = sort_of(table.columns)
        groups = under_way(file_lines(table, next(iter(sort), None)))
        if not groups:
            return None
        if len(groups) > 1:
            self._planned_at[name] = -_EVERY  # its turn again
        return write_anew(table, groups[0], sort, lambda: self._closing)

    def _sweep(self, name: str, now: datetime) -> RetentionPlan | None:
        table = self._lake.table(name)
        delete(table, unreferenced(table, now - self._retention.grace))
        return plan_retention(self._lake, name, self._settings, now)

    def _finish(self, job: _Job) -> None:
        try:
            found = job.work.result()
            if isinstance(found, Rewrite):
                job.owned.do(lambda: replace(job.owned.table, [found]))
            elif found is not None:
                job.owned.do(lambda: found.commit(job.owned.table))
                self._say(f"{job.owned.table.name}: {found.rows:,} records older than the retention were removed")
        except LakehouseError as error:
            self._say(f"maintenance of {job.owned.table.name} was put off: {error}")

    def close(self) -> None:
        """Give up what is under way; what it wrote is deleted."""
        self._closing = True
        self._worker.shutdown(wait=True, cancel_futures=True)
        if self._job is not None:
            with suppress(Exception):  # cancelled, or failed: then nothing is left behind
                found = self._job.work.result(timeout=0)
                if isinstance(found, Rewrite):
                    discard(self._job.owned.table.iceberg.io, found.new)
