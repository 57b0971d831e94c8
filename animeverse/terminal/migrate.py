"""How `animeverse migrate` looks: one line a table."""

from rich.markup import escape

from animeverse.terminal import console
from pipelines.config.settings import Settings
from pipelines.operations.migrate import Report


def print_report(report: Report, target: Settings) -> None:
    """What was copied, and how to go on there; on stdout."""
    rows = [
        (of.table, console.count(of.rows), console.count(of.files), console.size(of.bytes), of.digest)
        for of in report.tables
    ]
    console.put(console.table(("table", "rows", "files", "size", "digest of the rows"), rows, right=(1, 2, 3)))
    total = console.count(sum(of.rows for of in report.tables))
    done = "copied, and they read the same on both sides" if report.is_new else "had been copied before"
    console.put(f"{len(report.tables)} tables with {total} rows {done}")
    console.put("From now on work there; the old catalog and its files may go when `animeverse verify` holds:")
    console.put(f"  ANIMEVERSE_CATALOG_URL={escape(target.catalog_url)}")
    console.put(f"  ANIMEVERSE_LAKE_ROOT={escape(target.lake_root)}")
