"""The face of the product: its command line. It shows what the packages compute and computes nothing itself.

For notebooks and scripts there is `animeverse.connect()`.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

__all__ = ["connect"]

# Before Polars and PyArrow are imported: what they let go of goes back to the system at once. A catch-up of 2,000,000
# sales then takes 1.46 GB at most, else 1.65, for 3 % more CPU.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def connect(home: "str | Path | None" = None, *, as_of: "datetime | None" = None) -> "DuckDBPyConnection":
    """The whole lakehouse as one DuckDB connection: `connect().sql("from marts.weekly_summary").pl()`.

    Gold, marts and ops are those published when it was opened, bronze and silver the Iceberg tables of that moment;
    call it again for newer ones. With `as_of` (a time with its zone) bronze, silver and ops are as they were then, and
    there is no gold. The lakehouse cannot be changed through it; tables of one's own live in memory. `home` is
    ANIMEVERSE_HOME unless given. Raises NoLakehouseError where there is none.
    """
    from animeverse.services.query import Session  # here: `animeverse --help` must come at once
    from pipelines.config.settings import load_settings

    return Session(load_settings(home=home), as_of).connection()
