"""Shows what maintenance did."""

from rich.markup import escape

from animeverse.terminal import console
from pipelines.maintenance.maintain import Report

_SHOWN = 10


def print_report(report: Report) -> None:
    """What was done by table, or would be; on stdout."""
    rows = [
        (
            of.table,
            console.count(of.removed) if of.removed else "-",
            f"{console.count(of.files)} into {console.count(of.into)}" if of.files else "-",
            console.size(of.bytes) if of.files else "-",
            console.count(of.expired),
            console.count(of.deleted),
            console.size(of.deleted_bytes),
        )
        for of in report.tables
        if of.removed or of.files or of.expired or of.deleted
    ]
    if rows:
        heads = ("table", "old rows removed", "files compacted", "size", "snapshots expired", "files deleted", "size")
        console.put(console.table(heads, rows, right=range(1, 7)))
    for of in report.tables:
        if of.note:
            console.put(f"[yellow]{escape(of.table)}: {escape(of.note)}[/yellow]")
        if report.dry_run and of.paths:
            more = len(of.paths) - _SHOWN
            for path in of.paths[:_SHOWN]:
                console.put(f"  would be deleted: {escape(path)}")
            if more > 0:
                console.put(f"  and {more:,} more of {escape(of.table)}; all of them with --json")
    for folder in report.leftovers:
        console.put(f"{'would be removed' if report.dry_run else 'removed'}: {escape(folder)}")
    if not rows and not report.leftovers:
        console.put("nothing to do")
    elif report.dry_run:
        console.put("nothing was changed: run it without --dry-run")
