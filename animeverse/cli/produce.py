"""Commands that send events, and show what they must look like."""

from typing import Annotated, Literal

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, date_of, examples, print_json, refuse_together, settings_of, topics_of


@app.command(
    epilog=examples("animeverse demo", "animeverse demo --events 50000 --days 14 --seed 7", "animeverse demo --fresh")
)
def demo(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=1, help="How many events, master data included.")] = 200_000,
    days: Annotated[int, typer.Option(min=1, help="Over how many days up to now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the home that a demo made, and start over.")] = False,
) -> None:
    """Fill a lakehouse with a lively history and show it.

    Produces events with all that goes wrong with them, runs all layers, proves the numbers and prints them.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context)
    with stop_on_signals("stopping; the same command goes on from here") as stop:
        from animeverse.cli.demo import run as run_demo

        code = run_demo(settings, events=events, days=days, seed=seed, fresh=fresh, stop=stop)
    raise typer.Exit(code)


@app.command(
    epilog=examples(
        "animeverse produce --rate 500",
        "animeverse produce --events 200000 --days 60 --seed 1",
        "animeverse produce --topic cinema-sales --count 1000 --clean",
        "animeverse produce --topic pos-transactions --file sales.ndjson --timestamps event_time",
    )
)
def produce(
    context: typer.Context,
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be given several times.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second, evenly.")] = None,
    count: Annotated[int | None, typer.Option(min=0, help="Stop after so many.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same makes the same world; else random.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="A history of so many events, as fast as it goes.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="A history of so many days (60).")] = None,
    start: Annotated[str | None, typer.Option(help="The history's first day, as 2026-01-31; else it ends now.")] = None,
    dirt: Annotated[list[str] | None, typer.Option(help="NAME=SHARE of events, such as late=0.1.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Nothing goes wrong but what --dirt says.")] = False,
    file: Annotated[str | None, typer.Option(help="Events of your own, one a line; - is stdin.")] = None,
    timestamps: Annotated[
        Literal["now", "event_time"], typer.Option(help="When a file's records claim to have arrived.")
    ] = "now",
    partition: Annotated[int | None, typer.Option(min=0, help="One topic partition for a file's records.")] = None,
    as_json: Json = False,
) -> None:
    """Send events to the log: live, a history, or a file.

    Live at --rate (100) until --count or Ctrl-C; --count alone sends so many at once. --events or --days make a
    history, with which the same command goes on after an interruption. What is counted, the log has acknowledged.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context)
    topics = topics_of(topic or [])
    refuse_together(file, events=events, days=days, start=start, seed=seed, dirt=dirt or None, clean=clean or None)
    if file is None:
        refuse_together("", timestamps=timestamps if timestamps != "now" else None, partition=partition)
    with stop_on_signals("stopping; what was counted is in the log", exit_code=1) as stop:
        from animeverse.services import produce as producing

        request = producing.Request(
            topics=topics,
            rate=rate,
            count=count,
            seed=seed,
            start=date_of(start),
            days=days,
            events=events,
            dirt=producing.parse_faults(dirt or [], clean),
            file=file,
            timestamps=timestamps,
            partition=partition,
        )
        sent = producing.produce(settings, request, stop)
    if as_json:
        print_json({"sent": sent.records, "seed": sent.seed, "all": sent.is_all})
    else:
        print(f"sent {sent.records} records")  # noqa: T201
    raise typer.Exit(0 if sent.is_all else 1)


@app.command(
    epilog=examples(
        "animeverse contracts --topic pos-transactions", "animeverse contracts --format json-schema > contracts.json"
    )
)
def contracts(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Only this topic's.")] = None,
    how: Annotated[Literal["table", "json-schema"], typer.Option("--format", help="For people or programs.")] = "table",
) -> None:
    """Show what an event of each topic must look like."""
    from animeverse.terminal.status import print_contract
    from pipelines.contracts.documentation import json_schema
    from pipelines.contracts.registry import CONTRACTS

    chosen = [CONTRACTS[name] for name in topics_of([topic] if topic else [])]
    currency = settings_of(context).currency
    if how == "json-schema":
        schemas = {contract.topic: json_schema(contract, currency) for contract in chosen}
        print_json(schemas[topic] if topic else schemas)
    else:
        for contract in chosen:
            print_contract(contract, currency)
