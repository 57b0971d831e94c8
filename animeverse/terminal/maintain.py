"""Prints what maintenance did."""

from animeverse.terminal import console
from animeverse.terminal.console import escape
from pipelines.maintenance.maintain import Report

_MAX_PATHS = 10
_HEADS = ("table", "old rows removed", "files compacted", "size", "snapshots expired", "files deleted", "size")


def print_maintenance(report: Report) -> None:
    """Print what was done for each table, or would be done in a dry run, on stdout."""
    rows = [
        (
            table.table,
            console.count(table.removed) if table.removed else "-",
            f"{console.count(table.files)} into {console.count(table.into)}" if table.files else "-",
            console.size(table.bytes) if table.files else "-",
            console.count(table.expired),
            console.count(table.deleted),
            console.size(table.deleted_bytes),
        )
        for table in report.tables
        if table.removed or table.files or table.expired or table.deleted
    ]
    if rows:
        console.put(console.table(_HEADS, rows, right=range(1, 7)))
    for table in report.tables:
        if table.note:
            console.put(f"[yellow]{escape(table.table)}: {escape(table.note)}[/yellow]")
        if report.dry_run and table.paths:
            for path in table.paths[:_MAX_PATHS]:
                console.put(f"  would be deleted: {escape(path)}")
            hidden = len(table.paths) - _MAX_PATHS
            if hidden > 0:
                console.put(f"  and {hidden:,} more of {escape(table.table)}; --json lists all")
    for folder in report.leftovers:
        console.put(f"{'would be removed' if report.dry_run else 'removed'}: {escape(folder)}")
    if not rows and not report.leftovers:
        console.put("nothing to do")
    elif report.dry_run:
        console.put("nothing was changed: run it without --dry-run")
