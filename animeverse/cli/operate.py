"""Commands that operate a lakehouse: resume, doctor, maintain, migrate."""

import os
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, print_json, settings_of, topics_of


@app.command(epilog=examples("animeverse resume pos-transactions", "animeverse resume cinema-sales --json"))
def resume(
    context: typer.Context,
    topic: Annotated[list[str], typer.Argument(help="One topic or more, as the run that stopped named them.")],
    as_json: Json = False,
) -> None:
    """Go on with a topic whose log is not what was read before.

    After its records were taken by retention, it was made anew, or restored from an older copy. Notes in ops.log_gaps
    what is lost; the next run reads on. Where nothing stands in the way, nothing changes.
    """
    from datetime import UTC

    from animeverse.terminal.checks import print_resumed
    from pipelines.operations.resume import resume as resume_topics

    found = resume_topics(settings_of(context), topics_of(topic), lambda: datetime.now(UTC))
    print_json([resumed.to_dict() for resumed in found]) if as_json else print_resumed(found)


@app.command(epilog=examples("animeverse doctor", "ANIMEVERSE_LOG_URL=kafka://broker:9092 animeverse doctor --json"))
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at everything that can be set up wrong, and say how to mend it.

    Python, packages, settings, home, disk, log and topics, clock, catalog, store. Changes nothing and leaves nothing
    behind. Exit code 1 when a check fails.
    """
    from dataclasses import asdict

    from animeverse.terminal.doctor import print_findings
    from pipelines.operations.doctor import doctor as look

    found = look(context.obj)
    print_json([asdict(of) for of in found]) if as_json else print_findings(found)
    sys.stdout.flush()
    code = int(any(of.status == "fail" for of in found))
    if any(thread.name.startswith("doctor-") for thread in threading.enumerate()):
        os._exit(code)  # who does not answer is not waited for
    raise typer.Exit(code)


@app.command(epilog=examples("animeverse maintain --dry-run", "animeverse maintain --json"))
def maintain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Merge small files, thin out old snapshots, delete files that nothing refers to.

    `run --follow` does the same bit by bit. What a query reads is not changed, but for how far back it can look; and
    where ANIMEVERSE_BRONZE_RETENTION gives an age, old days of bronze go.
    """
    from animeverse.services.maintain import reflected_snapshots
    from animeverse.signals import stop_on_signals
    from animeverse.terminal.maintain import print_report
    from pipelines.maintenance.maintain import maintain as maintain_all

    settings = settings_of(context)
    with stop_on_signals("stopping; what is done is done, the same command goes on from here") as stop:
        pinned = reflected_snapshots(settings)
        found = maintain_all(settings, dry_run=dry_run, pinned=pinned, stopped=stop.is_set)
    print_json(found.to_dict()) if as_json else print_report(found)


@app.command(
    epilog=examples(
        "animeverse migrate --to cluster.env",
        "animeverse migrate --to-catalog http://127.0.0.1:8181 --to-lake-root s3://warehouse/lake",
    )
)
def migrate(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="A file of settings, as .env: where to, and its keys.")] = None,
    to_catalog: Annotated[str | None, typer.Option(help="Instead of ANIMEVERSE_CATALOG_URL in the file.")] = None,
    to_lake_root: Annotated[str | None, typer.Option(help="Instead of ANIMEVERSE_LAKE_ROOT in the file.")] = None,
    as_json: Json = False,
) -> None:
    """Copy all tables to another store and catalog, where `run` then goes on.

    Every table is compared row by row before the new catalog is told of it. The source is only read. Interrupted, it
    is repeated. The log stays what it is.
    """
    from datetime import UTC

    from animeverse.signals import stop_on_signals
    from animeverse.terminal.console import say
    from animeverse.terminal.migrate import print_report
    from pipelines.config.target import target_settings
    from pipelines.operations.migrate import migrate as migrate_all

    settings = settings_of(context)
    target = target_settings(context.obj, to, to_catalog, to_lake_root)
    with stop_on_signals("stopping; the same command goes on from here", exit_code=1) as stop:
        found = migrate_all(settings, target, lambda: datetime.now(UTC), say=say, stopped=stop.is_set)
    print_json(found.to_dict()) if as_json else print_report(found, target)
