"""The warehouse's own file `writer.duckdb`, open for writing."""

import os
import time
from pathlib import Path

import duckdb

from warehouse.storage import publish
from warehouse.storage.closed_days import FOLDER, ClosedDays
from warehouse.storage.connection import connect
from warehouse.storage.disk_errors import close_quietly

WORK = "writer.duckdb"  # no schema may have the name of the file, which is the name of the catalog
_VACUUM_EVERY = 8  # refreshes


class WriterFile:
    """The file, its connection and its closed days. `publish` copies it to the file that readers open."""

    connection: duckdb.DuckDBPyConnection
    closed: ClosedDays
    _descriptor = -1

    def __init__(self, folder: Path, memory_limit: str, threads: int | None) -> None:
        self.path = folder / WORK
        self._memory_limit, self._threads = memory_limit, threads or os.cpu_count() or 1
        self._threads_used = 0

    def open(self) -> None:
        """Opens the file and creates it if it does not exist. Raises as `connect` does."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            self.path.unlink(missing_ok=True)
            connect(self.path, memory_limit=self._memory_limit).close()
        # before DuckDB opens it: see publish.replace
        self._descriptor = os.open(self.path, os.O_RDONLY)
        try:
            self.connection = connect(self.path, memory_limit=self._memory_limit)
        except BaseException:
            self._close_descriptor()
            raise
        self._threads_used = 0
        self.closed = ClosedDays(self.connection, self.path.parent / FOLDER)

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._descriptor >= 0

    def close(self) -> None:
        """Closes the file."""
        close_quietly(self.connection)
        self._close_descriptor()

    def delete(self) -> None:
        """Deletes the closed file."""
        for path in (self.path, self.path.with_name(f"{WORK}.wal")):
            path.unlink(missing_ok=True)

    def configure(self, *, is_small: bool, refresh_id: int) -> None:
        """Sets the number of threads of a refresh and whether DuckDB merges small row groups.

        One thread is faster for a small refresh, whose statements end before a second thread starts. DuckDB would merge
        row groups at every write. Merging only now and then keeps most commits short: for a million sales in six
        refreshes it cost 4.3 of 18 CPU seconds, and for a small refresh 0.1 s.
        """
        threads = 1 if is_small else self._threads
        if threads != self._threads_used:
            self.connection.execute(f"set threads = {threads}")
            self._threads_used = threads
        max_tasks = 100 if refresh_id % _VACUUM_EVERY == 0 else 0
        self.connection.execute(f"set max_vacuum_tasks = {max_tasks}")

    def publish(self, target: Path, seconds: dict[str, float]) -> None:
        """Replaces the published file by a copy. Adds the duration of `checkpoint` and `copy` to `seconds`."""
        began = time.perf_counter()
        publish.checkpoint(self.connection)
        seconds["checkpoint"] = time.perf_counter() - began
        began = time.perf_counter()
        publish.replace(self._descriptor, target)
        seconds["copy"] = time.perf_counter() - began

    def shrink(self) -> bool:
        """Rewrites and closes the file if most of it is free space. Returns whether it did; then `open` it again."""
        publish.checkpoint(self.connection)
        if not publish.is_mostly_free(self.connection):
            return False
        slim = publish.rewritten(self.connection, self.path)
        self.close()
        slim.replace(self.path)
        return True

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
