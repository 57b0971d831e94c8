"""Commands that only read: status, verify, reconcile, trace, contracts."""

from typing import Annotated, Literal

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, parse_topics, print_json, settings_of


@app.command(epilog=examples("animeverse status", "animeverse status --json"))
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show lag, watermark, freshness, rows and storage."""
    from dataclasses import asdict

    from animeverse.services.status import gold_status
    from animeverse.terminal.status import print_status
    from pipelines.operations.status import status as read_status

    settings = settings_of(context)
    layers, gold = read_status(settings), gold_status(settings)
    if as_json:
        print_json({**layers.to_dict(), "gold": asdict(gold) if gold is not None else None})
    else:
        print_status(layers, gold)


@app.command(epilog=examples("animeverse verify", "animeverse verify --rebuild --json"))
def verify(
    context: typer.Context,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also rebuild silver and gold in a temporary place and compare.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove that nothing is lost and nothing counts twice.

    Recounts the log, the tables and gold. Exit code 1 when a check fails.
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
    """Show the outcome of every record, and what late data changed.

    Checks the conservation law for each topic and lists the restatements. Exit code 1 when the law does not hold.
    """
    from animeverse.services.reconcile import reconcile as reconcile_all
    from animeverse.terminal.reconcile import print_reconciliation

    reconciliation = reconcile_all(settings_of(context))
    print_json(reconciliation.to_dict()) if as_json else print_reconciliation(reconciliation)
    raise typer.Exit(0 if reconciliation.ok else 1)


@app.command(epilog=examples("animeverse trace 8f3c-000017", "animeverse trace C42-5 --topic customer-profiles --json"))
def trace(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event_id to trace.")],
    topic: Annotated[str | None, typer.Option(help="Search this topic only.")] = None,
    as_json: Json = False,
) -> None:
    """Follow one event from the log to gold.

    Shows every record with the event_id, its verdict and the reason. Exit code 1 when there is none.
    """
    from animeverse.services.trace import gold_rows
    from animeverse.terminal import console
    from animeverse.terminal.trace import UNREADABLE_IDS, print_trace, to_json
    from pipelines.operations.trace import trace as find_records

    settings = settings_of(context)
    event = find_records(settings, event_id, parse_topics([topic] if topic else []))
    gold = gold_rows(settings, event)
    print_json(to_json(event, gold)) if as_json else print_trace(event, gold)
    if not event.records:
        console.say(f"no record has the event_id {event_id}; {UNREADABLE_IDS}")
    raise typer.Exit(0 if event.records else 1)


@app.command(
    epilog=examples(
        "animeverse contracts --topic pos-transactions", "animeverse contracts --format json-schema > contracts.json"
    )
)
def contracts(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Show this topic only.")] = None,
    format_: Annotated[Literal["table", "json-schema"], typer.Option("--format", help="Output format.")] = "table",
) -> None:
    """Show the contract of each topic's events."""
    from animeverse.terminal.contracts import print_contract
    from pipelines.contracts.documentation import json_schema
    from pipelines.contracts.registry import CONTRACTS

    selected = [CONTRACTS[name] for name in parse_topics([topic] if topic else [])]
    currency = settings_of(context).currency
    if format_ == "json-schema":
        schemas = {contract.topic: json_schema(contract, currency) for contract in selected}
        print_json(schemas[topic] if topic else schemas)
    else:
        for contract in selected:
            print_contract(contract, currency)
