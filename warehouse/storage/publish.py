"""Publication: readers open a copy of the warehouse's file that is replaced whole, by rename.

They are never blocked and never block, and two tables are always of one refresh: a reader that has the old file open
keeps it. The copy costs what the file holds, which is recent days and dimensions; closed days lie beside it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipelines.fault_points import fault_point
from pipelines.store_errors import store_error
from warehouse.storage.connection import ALIAS, FORM, quoted

PUBLISHED = "animeverse.duckdb"
_WORTH_IT = 16 << 20  # bytes of free space below which nobody minds

__all__ = ["PUBLISHED", "is_current", "replace"]


def replace(descriptor: int, target: Path) -> int:
    """Copies an open, checkpointed file to `target` by rename; returns its size in bytes.

    The descriptor must have been opened before DuckDB opened the file and must stay open while DuckDB has it: closing
    any descriptor of a file drops the process's locks on it. Raises StoreUnavailableError when the disk is full.
    """
    size = os.fstat(descriptor).st_size
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        copy = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            at = 0
            while at < size:
                at += _copy(descriptor, copy, at, size - at)
        finally:
            os.close(copy)
        fault_point("gold.copied")
        draft.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise store_error(f"publishing {target}", error) from error
    return size


def sweep_drafts(target: Path) -> None:
    """Removes the copies that dead writers left beside the target. Only who holds the work file may do so."""
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
    """A connection of its own to a published file, attached as `published`. Raises duckdb.Error where it is none."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{quoted(target)}' as published (read_only)")
        yield connection


def is_current(connection: duckdb.DuckDBPyConnection, target: Path) -> bool:
    """Whether the published file is of the open warehouse's last refresh and names the same files in the same place.

    Numbers begin anew with a rebuild, so a refresh is not told by its number alone.
    """
    said = (
        "select refresh_id, epoch_us(refreshed_at), silver_snapshots, (select gold_dir from {0}work.made_by),"
        " (select list(file order by file) from {0}work.closed_days)"
        " from {0}gold.refreshes order by refresh_id desc limit 1"
    )
    if not target.exists():
        return False
    try:
        with reading(target) as other:
            found = other.execute(said.format("published.")).fetchall()
    except duckdb.Error:
        return False
    return found == connection.execute(said.format("")).fetchall()


def checkpoint(connection: duckdb.DuckDBPyConnection) -> None:
    """Writes all that is committed into the file itself."""
    connection.execute(f"checkpoint {ALIAS}")


def is_mostly_free(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether more than half of the file, and more than a little, is free space."""
    rows = connection.execute(
        "select block_size, total_blocks, free_blocks from pragma_database_size() where database_name = $1", [ALIAS]
    ).fetchall()
    block, total, free = rows[0]
    return bool(free * block > _WORTH_IT and free * 2 > total)


def rewritten(connection: duckdb.DuckDBPyConnection, file: Path) -> Path:
    """A copy of the open warehouse without its free space, beside the file."""
    slim = file.with_name(f".{file.name}.slim")
    slim.unlink(missing_ok=True)
    connection.execute(f"attach '{quoted(slim)}' as slim ({FORM})")
    connection.execute(f"copy from database {ALIAS} to slim")
    connection.execute("detach slim")
    return slim
