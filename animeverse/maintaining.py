"""`animeverse maintain`: which snapshots gold needs, and how the report looks."""

from collections.abc import Collection

from rich.markup import escape

from animeverse import console
from pipelines.errors import UsageError
from pipelines.maintain import Report
from pipelines.settings import Settings

_SHOWN = 10


def reflected_snapshots(settings: Settings) -> Collection[int]:
    """The silver snapshots that the published gold reflects. The writer's own file never lies before it."""
    from animeverse.query import Session

    if not settings.published_path.exists():
        return ()
    with Session(settings) as session:
        try:
            found = list(
                session.run("select silver_snapshots from gold.refreshes order by refresh_id desc limit 1").rows
            )
        except UsageError:  # a file that holds no refreshes is not ours to read on from
            return ()
    return set(found[0][0].values()) if found else ()


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
