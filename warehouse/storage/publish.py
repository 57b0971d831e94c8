"""Publication: readers open a copy of the warehouse's file that is replaced whole, by rename.

Readers and the writer never block each other, and a reader sees all tables as of one refresh: it keeps the old file as
long as it has it open. The copy costs as much as the file holds: open days and dimensions, without closed days.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipelines.duckdb_sandbox import connect
from pipelines.fault_points import fault_point
from pipelines.store_errors import store_error
from warehouse.storage.connection import ALIAS, NEW_FILE, quoted

PUBLISHED = "animeverse.duckdb"
_MIN_FREE = 16 << 20  # bytes of free space from which rewriting the file pays

__all__ = ["PUBLISHED", "is_current", "replace"]


def replace(descriptor: int, target: Path) -> int:
    """Replaces `target` by a copy of an open, checkpointed file, by rename. Returns the size in bytes.

    The descriptor must have been opened before DuckDB opened the file and must stay open as long as DuckDB has it,
    because closing any descriptor of a file drops the process's locks on it. Raises StoreUnavailableError if the disk
    is full.
    """
    size = os.fstat(descriptor).st_size
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        copy = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444)
        try:
            at = 0
            while at < size:
                at += _copy(descriptor, copy, at, size - at)
        finally:
            os.close(copy)
        fault_point("gold.copied")
        _open_once(draft)
        _remove_foreign_wal(target)
        draft.replace(target)
        _remove_foreign_wal(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise store_error(f"publishing {target}", error) from error
    return size


def _open_once(draft: Path) -> None:
    """Raise StoreUnavailableError unless readers can open the file."""
    try:
        with reading(draft) as connection:
            connection.execute("select count(*) from published.gold.refreshes").fetchall()
    except duckdb.Error as error:
        raise store_error(f"publishing {draft.parent / PUBLISHED}", error) from error


def _remove_foreign_wal(target: Path) -> None:
    """Remove a write-ahead log beside the target: a reader that opened it for writing left it, and DuckDB would replay
    it."""
    target.with_name(f"{target.name}.wal").unlink(missing_ok=True)


def sweep_drafts(target: Path) -> None:
    """Removes copies that crashed writers left beside the target. The caller must hold the writer's file."""
    for left in target.parent.glob(f".{target.name}.*"):
        if left.suffix[1:].isdigit():
            left.unlink(missing_ok=True)


def _copy(source: int, target: int, at: int, count: int) -> int:
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):
            if copied := os.copy_file_range(source, target, count, at, at):
                return copied
    return os.pwrite(target, os.pread(source, min(count, 1 << 22), at), at)


@contextlib.contextmanager
def reading(target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a published file on a new connection as `published`. Raises duckdb.Error if it is no database."""
    with connect() as connection:
        connection.execute(f"attach '{quoted(target)}' as published (read_only)")
        yield connection


def is_current(connection: duckdb.DuckDBPyConnection, target: Path) -> bool:
    """Whether the published file has the last refresh of the open warehouse and names the same files and folder.

    Numbers of refreshes restart with a rebuild, so the time and the snapshots are compared, too.
    """
    query = (
        "select refresh_id, epoch_us(refreshed_at), silver_snapshots, (select gold_dir from {0}work.made_by),"
        " (select list(file order by file) from {0}work.closed_days)"
        " from {0}gold.refreshes order by refresh_id desc limit 1"
    )
    if not target.exists():
        return False
    try:
        with reading(target) as other:
            found = other.execute(query.format("published.")).fetchall()
    except duckdb.Error:
        return False
    return found == connection.execute(query.format("")).fetchall()


def checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    """Writes all commits to the file itself."""
    connection.execute(f"checkpoint {ALIAS}")


def is_mostly_free(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether more than half of the file, and at least 16 MiB, is free space."""
    rows = connection.execute(
        "select block_size, total_blocks, free_blocks from pragma_database_size() where database_name = $1", [ALIAS]
    ).fetchall()
    block, total, free = rows[0]
    return bool(free * block > _MIN_FREE and free * 2 > total)


def rewritten(connection: duckdb.DuckDBPyConnection, file: Path) -> Path:
    """Writes a copy of the open warehouse without its free space beside the file. Returns its path."""
    slim = file.with_name(f".{file.name}.slim")
    slim.unlink(missing_ok=True)
    connection.execute(f"attach '{quoted(slim)}' as slim ({NEW_FILE})")
    connection.execute(f"copy from database {ALIAS} to slim")
    connection.execute("detach slim")
    return slim
