"""A warehouse built from nothing in a file of its own."""

import shutil
from datetime import datetime
from pathlib import Path

from pipelines.silver.changes import SilverChanges
from warehouse.writer import Refreshed, Warehouse


def rebuild(
    changes: SilverChanges, into: Path, now: datetime, *, seeds: Path | None = None, memory_limit: str = "2GB"
) -> Refreshed:
    """Builds the warehouse of these rows by a refresh from nothing and replaces `into` by it.

    For `--as-of` the caller leaves out the rows that arrived later. All days are open: the file needs no other file.
    """
    folder = into.with_name(f".{into.name}.building")
    shutil.rmtree(folder, ignore_errors=True)
    warehouse = Warehouse(folder, seeds, max_open_rows=1 << 62, memory_limit=memory_limit)
    try:
        done = warehouse.refresh(changes, now)
    finally:
        warehouse.close()
    warehouse.published.replace(into)
    shutil.rmtree(folder)
    return done
