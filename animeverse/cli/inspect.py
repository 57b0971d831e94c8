"""Commands that only read: status, trace, verify, reconcile."""

from typing import Annotated

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, print_json, settings_of, topics_of


@app.command(epilog=examples("animeverse status", "animeverse status --json"))
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show lag, watermark, freshness, rows and storage."""
    from animeverse.services.status import gold_status
    from animeverse.terminal.status import print_status
    from pipelines.operations.status import status as read_status

    settings = settings_of(context)
    found = {**read_status(settings).to_dict(), "gold": gold_status(settings)}
    print_json(found) if as_json else print_status(found)


@app.command(epilog=examples("animeverse verify", "animeverse verify --rebuild --json"))
def verify(
    context: typer.Context,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build silver and gold anew beside, and compare.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that nothing is lost and nothing counts twice.

    Counts again from the log, the tables and gold themselves. Exit code 1 when a check fails.
    """
    from animeverse.terminal.checks import print_checks
    from pipelines.operations.verify import verify as run_checks
    from warehouse.verify import gold_checks

    checks = run_checks(settings_of(context), rebuild=rebuild, gold_checks=gold_checks)
    if as_json:
        print_json([{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks])
    else:
        print_checks(checks)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command(epilog=examples("animeverse reconcile", "animeverse reconcile --json"))
def reconcile(context: typer.Context, as_json: Json = False) -> None:
    """Show that all adds up, and what late data changed.

    The conservation law for each topic, then the restatements. Exit code 1 when something does not add up.
    """
    from animeverse.services.reconcile import reconcile as count_all
    from animeverse.terminal.reconcile import print_reconciliation

    found = count_all(settings_of(context))
    print_json(found.to_dict()) if as_json else print_reconciliation(found)
    raise typer.Exit(0 if found.ok else 1)


@app.command(epilog=examples("animeverse trace 8f3c-000017", "animeverse trace C42-5 --topic customer-profiles --json"))
def trace(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    topic: Annotated[str | None, typer.Option(help="Look only here.")] = None,
    as_json: Json = False,
) -> None:
    """Follow one event from the log to gold.

    Every record that carried the id, with what became of it and why. Exit code 1 when there is none.
    """
    from animeverse.services.trace import gold_rows
    from animeverse.terminal import console
    from animeverse.terminal import trace as tracing
    from pipelines.operations.trace import trace as find

    settings = settings_of(context)
    found = find(settings, event_id, topics_of([topic] if topic else []))
    gold = gold_rows(settings, found)
    print_json(tracing.as_json(found, gold)) if as_json else tracing.print_trace(found, gold)
    if not found.records:
        console.say(f"no record carries the event_id {event_id}; {tracing.UNSEEN}")
    raise typer.Exit(0 if found.records else 1)
