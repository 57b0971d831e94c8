"""Commands and services of the lakehouse. For notebooks and scripts there is `animeverse.connect()`."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

__all__ = ["connect"]

# Polars and PyArrow read these when they are imported: they return freed memory to the system at once. The peak of a
# catch-up of 2,000,000 sales is then 1.46 GB instead of 1.65 GB, for 3 % more CPU time.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def connect(home: "str | Path | None" = None, *, as_of: "datetime | None" = None) -> "DuckDBPyConnection":
    """Open all layers as one DuckDB connection: `connect().sql("from marts.weekly_summary").pl()`.

    The connection reads gold, marts and ops as last published, and bronze and silver from Iceberg, both as of the
    call. With `as_of` (a time with a zone) bronze, silver and ops are read as of that time, and gold is not available.
    The lakehouse is read-only; tables that you create live in memory. `home` defaults to ANIMEVERSE_HOME. Raises
    NoLakehouseError.
    """
    from animeverse.services.query import Session  # imported here to keep the start of every command fast
    from pipelines.config.settings import load_settings

    return Session(load_settings(home=home), as_of, sandboxed=False).connection()
