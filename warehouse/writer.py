"""The writer of gold: refreshes, each one transaction over all tables, and their publication."""

import contextlib
import time
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import duckdb

from pipelines.errors import StoreUnavailableError
from pipelines.fault_points import fault_point
from pipelines.silver.changes import SilverChanges
from warehouse.refresh.context import Session
from warehouse.refresh.refresh import Refresh, Refreshed, has_deferred
from warehouse.registry import registry
from warehouse.storage import fingerprint, publish
from warehouse.storage.closed_days import is_split
from warehouse.storage.day_archiver import DayArchiver
from warehouse.storage.disk_errors import translate_disk_errors
from warehouse.storage.publication_policy import PublicationPolicy, is_catch_up
from warehouse.storage.writer_file import WriterFile

__all__ = ["Refreshed", "SilverChanges", "Warehouse"]

_SMALL = 20_000  # rows up to which a refresh runs on one thread


class Warehouse:
    """Gold in `<gold_dir>/writer.duckdb`, published as `<gold_dir>/animeverse.duckdb`. For one thread at a time.

    Days older than the last `open_days` days move to Parquet files once open days hold more than `max_open_rows` rows
    of facts (`DayArchiver`). Unused files are removed after `grace` seconds. Tables with `refresh  ended_day` are
    computed at most every `max_deferral_seconds`; `complete_deferred` computes them at once.

    A file made from other models or seeds is discarded: then `reflected` is empty and the next refresh has to bring all
    of silver. With `discard_existing` any file is discarded, even one that cannot be opened. All methods raise
    StoreUnavailableError if the disk fails, and AlreadyRunningError if another process has the file open.
    """

    def __init__(
        self,
        gold_dir: Path,
        seeds: Path | None = None,
        *,
        max_open_rows: int = 300_000,
        open_days: int = 3,
        grace: float = 600.0,
        max_deferral_seconds: float = 0.0,
        memory_limit: str = "800MB",
        threads: int | None = None,
        discard_existing: bool = False,
    ) -> None:
        self.gold_dir = gold_dir.absolute()
        self.broken = False  # whether a write failed, so the connection has to be reopened
        self.publication = PublicationPolicy()
        self._file = WriterFile(self.gold_dir, memory_limit, threads)
        self.archiver = DayArchiver(max_open_rows, open_days)
        self._seeds = fingerprint.SEEDS if seeds is None else seeds
        self._grace = grace
        self._max_deferral_seconds, self._defer_until = max_deferral_seconds, 0.0
        self._last, self._deferred = 0, False
        self._start(discard_existing)
        # After a long history, deferred tables take a minute that the first batch should not wait for. Tables that an
        # earlier process deferred are not deferred again: a process that is killed repeatedly would never compute them.
        if self._last and not self._deferred:
            self._defer_until = time.monotonic() + max_deferral_seconds

    @translate_disk_errors
    def _start(self, discard_existing: bool) -> None:
        self.gold_dir.mkdir(parents=True, exist_ok=True)
        if discard_existing and self._file.path.exists():
            try:
                self._open()
            except (StoreUnavailableError, duckdb.Error):  # not AlreadyRunningError
                if self._file.is_open:
                    self.close()
                self._file.delete()
            else:
                if self._last:
                    self.discard()
                return
        self._open()

    @property
    def published(self) -> Path:
        """The file that readers open."""
        return self.gold_dir / publish.PUBLISHED

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._file.connection

    @translate_disk_errors
    def reflected(self) -> Mapping[str, int]:
        """The silver snapshots of the last refresh; {} if there is none."""
        if self._last == 0:
            return {}
        rows = self._connection.execute(
            "select silver_snapshots from gold.refreshes where refresh_id = $1", [self._last]
        ).fetchall()
        return dict(rows[0][0])

    @translate_disk_errors
    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        """Reads new silver rows into gold and publishes, in a catch-up only now and then.

        Raises CheckFailedError and changes nothing if a check fails. After any other error the same rows may be passed
        again, because nothing was changed.
        """
        began = time.perf_counter()
        rows = sum(table.num_rows for table in changes.tables.values())
        if self._last == 0 and is_catch_up(rows):  # more rows will follow
            self._defer_until = time.monotonic() + self._max_deferral_seconds
        may_defer = time.monotonic() < self._defer_until
        self._file.configure(is_small=rows < _SMALL and (may_defer or not self._deferred), refresh_id=self._last + 1)
        refresh = Refresh(
            self._session, self._last + 1, now, self.published, may_defer=may_defer, is_large=is_catch_up(rows)
        )
        self._commit(refresh, changes)
        if not may_defer:
            self._defer_until = time.monotonic() + self._max_deferral_seconds
        closing = time.perf_counter()
        self._close_before(self.archiver.due_after(self._connection, self._last, rows))
        refresh.seconds["close_days"] = time.perf_counter() - closing
        if self.publication.is_due(rows):
            self._publish(refresh.seconds)
            fault_point("gold.published")
        refresh.seconds["total"] = time.perf_counter() - began
        changed = {name: rows for name, rows in refresh.changed.items() if rows}
        is_published = not self.publication.is_pending
        return Refreshed(refresh.refresh_id, changed, refresh.restated, refresh.seconds, is_published)

    def _commit(self, refresh: Refresh, changes: SilverChanges) -> None:
        run = self._connection.execute
        run("begin")
        try:
            refresh.run(changes)
            if refresh.refresh_id == 1:
                fingerprint.store(self._connection, self._seeds, self.gold_dir)
                self._file.closed.restart_grace_period()
            committing = time.perf_counter()
            fault_point("gold.refreshed")
            run("commit")
            fault_point("gold.committed")
        except BaseException:
            self._roll_back()
            raise
        self._last, self._deferred = refresh.refresh_id, refresh.deferred
        self.publication.committed()
        changed = refresh.changed
        self.archiver.add_rows(sum(changed.get(model.full_name, 0) for model in registry() if is_split(model)))
        refresh.seconds["commit"] = time.perf_counter() - committing

    @translate_disk_errors
    def complete_deferred(self, now: datetime) -> Refreshed | None:
        """Computes what earlier refreshes deferred, and publishes. Returns None if nothing was deferred."""
        if not self._deferred:
            self.publish()
            return None
        self._defer_until = 0.0
        partitions = self._connection.sql("select * from work.partitions").to_arrow_table()
        return self.refresh(SilverChanges({}, self.reflected(), partitions), now)

    @translate_disk_errors
    def archive_closed_days(self) -> bool:
        """Closes some old days and publishes. Returns False if there was nothing to do.

        An idle run calls it, so that the days that a catch-up left open do not delay a later refresh.
        """
        if not self._last or not self._close_before(self.archiver.due_when_idle(self._connection, self._last)):
            return False
        self.publish()
        return True

    @translate_disk_errors
    def publish(self) -> None:
        """Publishes what is committed and not published yet."""
        if self.publication.is_pending:
            self._publish({})

    @translate_disk_errors
    def discard(self) -> None:
        """Discards the file, so that the next refresh builds gold from nothing.

        Readers keep the published file until then. An unpublished commit is published first, because restatements
        continue from the published file.
        """
        with contextlib.suppress(StoreUnavailableError, duckdb.Error):
            if self._last and not publish.is_current(self._connection, self.published):
                self._file.closed.restart_grace_period()
                self._publish({})
        self.publication.reset()
        self.close()
        self._file.delete()
        self._open()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def reopen(self) -> None:
        """Opens the file, which holds the last commit, again. Publishes it if that failed before."""
        self.close()
        self._open()
        self.broken = False

    def _open(self) -> None:
        self._file.open()
        closed, connection = self._file.closed, self._connection
        publish.sweep_drafts(self.published)
        self._session = Session(connection, closed)
        self._last = fingerprint.last_refresh(connection)
        if self._last and not fingerprint.matches(connection, self._seeds):
            self.discard()
            return
        fingerprint.load_seeds(connection, self._seeds)
        self._deferred = bool(self._last) and has_deferred(connection)
        if self._last:
            # repairs a crash between commit and publication, and a home that was moved
            has_moved = fingerprint.follow_move(connection, closed, self.gold_dir)
            if has_moved or not publish.is_current(connection, self.published):
                closed.restart_grace_period()  # readers still use the files that the old publication names
                self._publish({})
            closed.sweep(self._grace)

    def _roll_back(self) -> None:
        try:
            self._connection.execute("rollback")
            self._session.clear()
        except duckdb.Error:  # the connection is unusable; the file holds the last commit
            self.close()
            self._open()

    def _close_before(self, before: date | None) -> bool:
        """Closes the days before a day and removes unused files. Returns whether there were such days."""
        if before is None:
            return False
        self._connection.execute("begin")
        try:
            is_closed = self.archiver.close_before(self._file.closed, before, self._last)
            self._connection.execute("commit")
        except BaseException:
            self._roll_back()
            raise
        if is_closed:
            self.publication.committed()
            self._file.closed.sweep(self._grace)
            if self._file.shrink():
                self._open()  # publishes the file as it is now
        return is_closed

    def _publish(self, seconds: dict[str, float]) -> None:
        self._file.publish(self.published, seconds)
        self.publication.published(seconds["copy"])
