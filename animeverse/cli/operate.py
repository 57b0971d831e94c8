"""Commands that operate a lakehouse: resume, doctor, maintain, migrate."""

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, parse_topics, print_json, settings_of


@app.command(epilog=examples("animeverse resume pos-transactions", "animeverse resume cinema-sales --json"))
def resume(
    context: typer.Context,
    topic: Annotated[list[str], typer.Argument(help="Topics that the stopped run named.")],
    as_json: Json = False,
) -> None:
    """Accept a replaced, recreated or truncated topic.

    The next run continues reading it. Lost records are noted in ops.log_gaps. Changes nothing when the topic is intact.
    """
    from animeverse.terminal.checks import print_resumed
    from pipelines.clock import utc_now
    from pipelines.operations.resume import resume as resume_topics

    resumed = resume_topics(settings_of(context), parse_topics(topic), utc_now)
    print_json([one.to_dict() for one in resumed]) if as_json else print_resumed(resumed)


@app.command(epilog=examples("animeverse doctor", "ANIMEVERSE_LOG_URL=kafka://broker:9092 animeverse doctor --json"))
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check the installation, and say how to fix problems.

    Checks Python, packages, settings, home, disk, log and topics, clock, catalog and store. Changes nothing. Exit code
    1 when a check fails.
    """
    from animeverse.terminal.doctor import print_findings
    from pipelines.operations.doctor import doctor as check_installation

    findings = check_installation(context.obj)
    print_json([finding.to_dict() for finding in findings]) if as_json else print_findings(findings)
    sys.stdout.flush()
    code = int(any(finding.status == "fail" for finding in findings))
    if any(thread.name.startswith("doctor-") for thread in threading.enumerate()):
        os._exit(code)  # do not wait for probes that hang
    raise typer.Exit(code)


@app.command(epilog=examples("animeverse maintain --dry-run", "animeverse maintain --json"))
def maintain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Compact files, expire snapshots, delete unused files.

    `run --follow` does the same in small steps. Query results do not change, but time travel reaches less far back.
    With ANIMEVERSE_BRONZE_RETENTION, old days of bronze are removed.
    """
    from animeverse.services.maintain import reflected_snapshots
    from animeverse.signals import stop_on_signals
    from animeverse.terminal.maintain import print_maintenance
    from pipelines.maintenance.maintain import maintain as maintain_all

    settings = settings_of(context)
    with stop_on_signals("stopping; completed work is kept, and the same command continues") as stop:
        pinned = reflected_snapshots(settings)
        report = maintain_all(settings, dry_run=dry_run, pinned=pinned, stopped=stop.is_set)
    print_json(report.to_dict()) if as_json else print_maintenance(report)


@app.command(
    epilog=examples(
        "animeverse migrate --to cluster.env",
        "animeverse migrate --to-catalog http://127.0.0.1:8181 --to-lake-root s3://warehouse/lake",
    )
)
def migrate(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="A settings file such as .env, with the target and its keys.")] = None,
    to_catalog: Annotated[str | None, typer.Option(help="Overrides ANIMEVERSE_CATALOG_URL of the file.")] = None,
    to_lake_root: Annotated[str | None, typer.Option(help="Overrides ANIMEVERSE_LAKE_ROOT of the file.")] = None,
    as_json: Json = False,
) -> None:
    """Copy all tables to another store and catalog.

    Compares every table row by row before it registers it in the new catalog. The source is only read, and the log
    stays the same. After an interruption the same command continues. `run` then continues on the target.
    """
    from animeverse.signals import stop_on_signals
    from animeverse.terminal.console import say
    from animeverse.terminal.migrate import print_migration
    from pipelines.clock import utc_now
    from pipelines.config.target import target_settings
    from pipelines.operations.migrate import migrate as migrate_all

    settings = settings_of(context)
    target = target_settings(context.obj, to, to_catalog, to_lake_root)
    with stop_on_signals("stopping; the same command continues from here", exit_code=1) as stop:
        report = migrate_all(settings, target, utc_now, say=say, stopped=stop.is_set)
    print_json(report.to_dict()) if as_json else print_migration(report, target)


@app.command(epilog=examples("animeverse relocate", "animeverse --home /backup/monday relocate --json"))
def relocate(context: typer.Context, as_json: Json = False) -> None:
    """Make a moved, copied or restored home a lakehouse of its own.

    Gives all tables the paths of this home. A copy gets a lake id of its own, so that it and its original never touch
    each other's files. Changes nothing in a home that is where it was. After an interruption the same command
    continues.
    """
    from animeverse.services.relocate import relocate as relocate_home
    from animeverse.terminal.console import say

    done = relocate_home(settings_of(context), say if sys.stderr.isatty() else lambda text: None)
    if as_json:
        print_json(done.to_dict())
    elif done.tables:
        say(f"{done.tables} tables of the {done.state} lake are now in {done.lake_root}")
    else:
        say(f"nothing to do: the lake in {done.lake_root} is this catalog's own")


@app.command(epilog=examples("animeverse repair --catalog", "animeverse repair --catalog --json"))
def repair(
    context: typer.Context,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Register the tables of the lake in a catalog that lost them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register the tables of a lake whose catalog was lost.

    Uses the newest metadata of each table that is whole. Nothing in the lake is changed. After an interruption the
    same command continues. `animeverse verify` then proves what is there.
    """
    from animeverse.terminal.console import say
    from pipelines.errors import UsageError
    from pipelines.operations.repair import repair_catalog

    if not catalog:
        raise UsageError("expected --catalog: to rebuild gold use `animeverse rebuild gold`")
    tables = repair_catalog(settings_of(context), say if sys.stderr.isatty() else lambda text: None)
    if as_json:
        print_json([table.to_dict() for table in tables])
        return
    for table in tables:
        newer = f", not from {', '.join(table.passed_over)}, which is damaged" if table.passed_over else ""
        say(f"{table.table}: {table.metadata or 'no whole metadata, not registered'}{newer}")
    say(f"{sum(table.metadata is not None for table in tables)} tables are registered")
