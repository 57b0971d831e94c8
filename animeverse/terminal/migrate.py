"""Prints what a migration copied."""

from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.config.settings import Settings
from pipelines.operations.migrate import Report


def print_migration(report: Report, target: Settings) -> None:
    """Print the copied tables and the settings of the target, on stdout."""
    rows = [
        (table.table, console.count(table.rows), console.count(table.files), console.size(table.bytes), table.digest)
        for table in report.tables
    ]
    console.put(console.table(("table", "rows", "files", "size", "digest of the rows"), rows, right=(1, 2, 3)))
    total = console.count(sum(table.rows for table in report.tables))
    result = "copied and compared: both sides are equal" if report.is_new else "had been copied before"
    console.put(f"{len(report.tables)} tables with {total} rows {result}")
    console.put(
        "Use these settings from now on. Delete the old catalog and its files once `animeverse verify` holds there:"
    )
    console.put(f"  ANIMEVERSE_CATALOG_URL={escape(target.catalog_url)}")
    console.put(f"  ANIMEVERSE_LAKE_ROOT={escape(target.lake_root)}")
