"""The one writer of gold: refreshes, each one transaction over all tables, and what is published after each."""

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.errors import StoreUnavailableError
from pipelines.fault_points import fault_point
from pipelines.silver.changes import SilverChanges
from warehouse.refresh.context import Session
from warehouse.refresh.refresh import Refresh, is_behind
from warehouse.registry import registry
from warehouse.storage import fingerprint as origin
from warehouse.storage import publish
from warehouse.storage.closed_days import CREATE, FOLDER, ClosedDays, is_split
from warehouse.storage.connection import connect
from warehouse.storage.disk_errors import close_quietly, translate_disk_errors

__all__ = ["Refreshed", "SilverChanges", "Warehouse", "rebuild"]

WORK = "writer.duckdb"  # no schema may be named like the file, which names the catalog
_KEEP_REFRESHES = 10_000
_TIDY_EVERY = 8  # refreshes
_SMALL = 20_000  # rows up to which a refresh runs on one thread
_LARGE = 100_000  # rows from which a refresh is one of a catch-up, which closes no days
_MOST_NATIVE = 8_000_000  # rows that a catch-up may leave native
_UNKNOWN = 1 << 62
_LOOK_EVERY = 64  # refreshes after which late rows may have made it worth to look for old days again
_CLOSED_AT_ONCE = 8  # days, in a small refresh or when idle; each takes 0.1-0.3 s, and a catch-up may leave years
# A catch-up publishes when so many times the last copy's seconds have passed since, or so many seconds.
_COPY_SHARE, _MOST_UNPUBLISHED = 20, 60.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. `rows_changed` counts rows written by table, `seconds` the time by step."""

    refresh_id: int
    rows_changed: Mapping[str, int]
    restatements: int
    seconds: Mapping[str, float]
    published: bool


class Warehouse:
    """Gold in `<gold_dir>/writer.duckdb`, published as `<gold_dir>/animeverse.duckdb`. For one thread at a time.

    Days older than `open_days` before the last one are moved to Parquet files once facts exceed `native_rows` rows; in
    a catch-up, whose refreshes are large and few, that waits for the first small one. Files that fell out of use are
    removed after `grace` seconds. Tables with `refresh  ended_day` are computed at most every `patience` seconds;
    `settle` brings them up to date. Work that other models or seeds made is thrown away: then `reflected` is empty,
    and the next refresh has to bring everything. With `anew` all work is, even a file that cannot be opened.
    """

    _connection: duckdb.DuckDBPyConnection
    _descriptor = -1

    def __init__(
        self,
        gold_dir: Path,
        seeds: Path | None = None,
        *,
        native_rows: int = 300_000,
        open_days: int = 3,
        grace: float = 600.0,
        patience: float = 0.0,
        memory_limit: str = "800MB",
        threads: int | None = None,
        anew: bool = False,
    ) -> None:
        self.gold_dir = gold_dir.absolute()
        self._seeds = origin.SEEDS if seeds is None else seeds
        self._native_rows, self._open_days, self._grace = native_rows, open_days, grace
        self._memory_limit = memory_limit
        self._threads = threads or os.cpu_count() or 1
        self._patience, self._settle_at = patience, 0.0
        self.broken = False  # a write failed: what is open cannot be trusted
        self._last = self._threads_used = 0
        self._models = {model.full_name: model for model in registry()}
        self._native = _UNKNOWN  # rows of days that could be closed, at most; counted when they may be too many
        self._all_open = (date.min, 0)  # the first open day, and the refresh that found no older native one
        self._is_behind = self._is_unpublished = False
        self._publish_at = 0.0  # before that, a large refresh is not published
        self._begin(anew)
        # Behind a long past, what may lag takes a minute that the first batch should not wait; but processes that are
        # killed again and again shall not put it off for ever.
        if self._last and not self._is_behind:
            self._settle_at = time.monotonic() + patience

    @translate_disk_errors
    def _begin(self, anew: bool) -> None:
        self.gold_dir.mkdir(parents=True, exist_ok=True)
        if anew and (self.gold_dir / WORK).exists():
            try:
                self._open()
            except (StoreUnavailableError, duckdb.Error):  # but not the error that says who has it open
                if self._descriptor >= 0:
                    self.close()
                self._throw_away()
            else:
                if self._last:
                    self.discard()
                return
        self._open()

    @property
    def published(self) -> Path:
        """The file that readers open."""
        return self.gold_dir / publish.PUBLISHED

    @translate_disk_errors
    def reflected(self) -> Mapping[str, int]:
        """Silver snapshots of the last refresh; {} when there is none."""
        if self._last == 0:
            return {}
        rows = self._connection.execute(
            "select silver_snapshots from gold.refreshes where refresh_id = $1", [self._last]
        ).fetchall()
        return dict(rows[0][0])

    @translate_disk_errors
    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        """Takes new silver rows into gold and publishes, unless they are many and the last copy is recent.

        Raises CheckFailedError with nothing changed. After any other error nothing is changed, either, and the same
        rows may be brought again.
        """
        began = time.perf_counter()
        rows = sum(table.num_rows for table in changes.tables.values())
        if self._last == 0 and rows >= _LARGE:  # more will follow
            self._settle_at = time.monotonic() + self._patience
        may_lag = time.monotonic() < self._settle_at
        self._prepare(is_small=rows < _SMALL and (may_lag or not self._is_behind))
        refresh = Refresh(self._session, self._last + 1, now, self.published, may_lag, is_large=rows >= _LARGE)
        run = self._connection.execute
        run("begin")
        try:
            if refresh.refresh_id == 1:
                run("create schema if not exists work")
                run(CREATE)
            refresh.run(changes)
            if refresh.refresh_id == 1:
                origin.note(self._connection, self._seeds, self.gold_dir)
                self._closed.restart_grace_period()
            if refresh.refresh_id % 1000 == 0:
                self._forget_before(refresh.refresh_id - _KEEP_REFRESHES)
            committing = time.perf_counter()
            fault_point("gold.refreshed")
            run("commit")
            fault_point("gold.committed")
        except BaseException:
            self._roll_back()
            raise
        self._last, self._is_behind, self._is_unpublished = refresh.refresh_id, refresh.lagging, True
        self._native += sum(rows for name, rows in refresh.changed.items() if is_split(self._models[name]))
        if not may_lag:
            self._settle_at = time.monotonic() + self._patience
        refresh.seconds["commit"] = time.perf_counter() - committing
        publishing = time.perf_counter()
        if 0 < rows < _LARGE:
            self._close_days(self._native_rows, _CLOSED_AT_ONCE)
        else:
            self._close_days(max(self._native_rows, _MOST_NATIVE))
        refresh.seconds["close_days"] = time.perf_counter() - publishing
        if self._is_unpublished and (rows < _LARGE or time.monotonic() >= self._publish_at):
            self._publish(refresh.seconds)
            fault_point("gold.published")
        refresh.seconds["total"] = time.perf_counter() - began
        changed = {name: rows for name, rows in refresh.changed.items() if rows}
        return Refreshed(refresh.refresh_id, changed, refresh.restated, refresh.seconds, not self._is_unpublished)

    @translate_disk_errors
    def complete_deferred(self, now: datetime) -> Refreshed | None:
        """Brings up to date what `patience` let lag, and publishes; None when nothing lagged."""
        if not self._is_behind:
            self.publish()
            return None
        self._settle_at = 0.0
        state = self._connection.sql("select * from work.partitions").to_arrow_table()
        return self.refresh(SilverChanges({}, self.reflected(), state), now)

    @translate_disk_errors
    def archive_closed_days(self) -> bool:
        """Closes some days that are old, and publishes that; False when there was nothing to do.

        For when a run is idle: what a catch-up left native is closed then, before anybody waits for a refresh.
        """
        if not self._last or not self._close_days(self._native_rows, _CLOSED_AT_ONCE):
            return False
        self.publish()
        return True

    @translate_disk_errors
    def publish(self) -> None:
        """Publishes what is committed and not published yet."""
        if self._is_unpublished:
            self._publish({})

    @translate_disk_errors
    def discard(self) -> None:
        """Forgets all, so that the next refresh builds from nothing. What is published stays until then; what is not
        yet is published first, as restatements go on from there.
        """
        with contextlib.suppress(StoreUnavailableError, duckdb.Error):
            if self._last and not publish.is_current(self._connection, self.published):
                self._closed.restart_grace_period()
                self._publish({})
        self._is_unpublished, self._publish_at = False, 0.0
        self.close()
        self._throw_away()
        self._open()

    def _throw_away(self) -> None:
        for name in (WORK, f"{WORK}.wal"):
            (self.gold_dir / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the file."""
        close_quietly(self._connection)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def reopen(self) -> None:
        """Opens the file anew, which holds the last commit, and publishes it where that failed."""
        self.close()
        self._open()
        self.broken = False

    def _open(self) -> None:
        file = self.gold_dir / WORK
        if not file.exists() or file.stat().st_size == 0:
            file.unlink(missing_ok=True)
            connect(file, memory_limit=self._memory_limit).close()
        # before DuckDB: see publish.replace
        self._descriptor = os.open(file, os.O_RDONLY)
        try:
            self._connection = connect(file, memory_limit=self._memory_limit)
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = -1
            raise
        self._threads_used = 0
        publish.sweep_drafts(self.published)
        self._closed = ClosedDays(self._connection, self.gold_dir / FOLDER)
        self._session = Session(self._connection, self._closed)
        self._last = origin.last_refresh(self._connection)
        if self._last and not origin.is_ours(self._connection, self._seeds):
            self.discard()
            return
        origin.load_seeds(self._connection, self._seeds)
        self._is_behind = bool(self._last) and is_behind(self._connection)
        if self._last:
            # a crash between commit and publication, or a home that was moved, is mended here
            has_moved = origin.has_moved(self._connection, self._closed, self.gold_dir)
            if has_moved or not publish.is_current(self._connection, self.published):
                self._closed.restart_grace_period()  # until now readers opened what named other files than the new one
                self._publish({})
            self._closed.sweep(self._grace)

    def _prepare(self, *, is_small: bool) -> None:
        """Settings that depend on how much there is to do.

        One thread is faster for a small refresh, whose statements are over before a second one has begun. DuckDB
        merges small row groups whenever it writes; now and then is enough, and keeps most commits short: of a million
        sales in six refreshes it cost 4.3 of 18 CPU seconds, and of a small refresh 0.1 s.
        """
        threads = 1 if is_small else self._threads
        if threads != self._threads_used:
            self._connection.execute(f"set threads = {threads}")
            self._threads_used = threads
        is_tidy = (self._last + 1) % _TIDY_EVERY == 0
        self._connection.execute(f"set max_vacuum_tasks = {100 if is_tidy else 0}")

    def _forget_before(self, refresh_id: int) -> None:
        for table in ("gold.refreshes", "ops.gold_warnings"):
            self._connection.execute(f"delete from {table} where refresh_id <= $1", [refresh_id])

    def _roll_back(self) -> None:
        try:
            self._connection.execute("rollback")
            self._session.forget()
        except duckdb.Error:
            # the connection cannot be trusted any more; the file holds the last commit
            self.close()
            self._open()

    def _close_days(self, most: int, days: int | None = None) -> bool:
        """Moves old days to files when there are more than `most` native rows, and removes files out of use.

        Of many old days only the oldest `days`: the next call goes on. Returns whether there were any.
        """
        run = self._connection.execute
        if self._native <= most:
            return False
        ((last_date,),) = run("select last_date from ops.gold_clock").fetchall()
        if last_date is None:  # there are no facts
            return False
        before = last_date - timedelta(self._open_days - 1)
        if days is not None and self._all_open[0] == before and self._last < self._all_open[1] + _LOOK_EVERY:
            return False
        split = [model for model in registry() if is_split(model)]
        counts = " + ".join(f"(select count(date_key) from work.{model.name})" for model in split)
        ((rows,),) = run(f"select {counts}").fetchall()
        self._native = rows
        if rows <= most:
            return False
        if days is not None:
            keys = " union ".join(f"select date_key from work.{model.name}" for model in split)
            ((newest,),) = run(
                f"select from_date_key(max(date_key)) from (from ({keys}) where date_key < to_date_key($1)"
                " order by date_key limit $2)",
                [before, days],
            ).fetchall()
            before = before if newest is None else newest + timedelta(1)
        run("begin")
        try:
            closed = sum(self._closed.close(model, before, self._last) for model in split)
            run("commit")
        except BaseException:
            self._roll_back()
            raise
        if closed:
            self._is_unpublished = True
            self._closed.sweep(self._grace)
            self._shrink()
        else:
            self._all_open = (before, self._last)
        return bool(closed)

    def _shrink(self) -> None:
        """Writes the file anew when most of it is free space that closed days left, as all of it is published."""
        publish.checkpoint(self._connection)
        if publish.is_mostly_free(self._connection):
            file = self.gold_dir / WORK
            slim = publish.rewritten(self._connection, file)
            self.close()
            slim.replace(file)
            self._open()

    def _publish(self, seconds: dict[str, float]) -> None:
        began = time.perf_counter()
        publish.checkpoint(self._connection)
        seconds["checkpoint"] = time.perf_counter() - began
        began = time.perf_counter()
        publish.replace(self._descriptor, self.published)
        seconds["copy"] = time.perf_counter() - began
        self._is_unpublished = False
        self._publish_at = time.monotonic() + min(_COPY_SHARE * seconds["copy"], _MOST_UNPUBLISHED)


def rebuild(
    changes: SilverChanges, into: Path, now: datetime, *, seeds: Path | None = None, memory_limit: str = "2GB"
) -> Refreshed:
    """The warehouse of these rows alone in one new file, which replaces `into`: a refresh from nothing.

    For `--as-of` the caller leaves out rows that arrived later. All days are native, so the file stands alone.
    """
    folder = into.with_name(f".{into.name}.building")
    shutil.rmtree(folder, ignore_errors=True)
    warehouse = Warehouse(folder, seeds, native_rows=1 << 62, memory_limit=memory_limit)
    try:
        done = warehouse.refresh(changes, now)
    finally:
        warehouse.close()
    warehouse.published.replace(into)
    shutil.rmtree(folder)
    return done
