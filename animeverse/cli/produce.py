"""The command `produce`: send events to the log (R45)."""

from typing import Annotated, Literal

import typer

from animeverse.cli.app import app
from animeverse.cli.options import (
    Json,
    examples,
    parse_date,
    parse_topics,
    print_json,
    reject_options,
    settings_of,
)


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
    topic: Annotated[list[str] | None, typer.Option(help="Send to this topic only; repeat for several.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events per second.")] = None,
    count: Annotated[int | None, typer.Option(min=0, help="Stop after this number of events.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed generates the same events (default: random).")
    ] = None,
    events: Annotated[
        int | None, typer.Option(min=1, help="Send a history of this many events, as fast as possible.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Send a history of this many days (60).")] = None,
    start: Annotated[
        str | None, typer.Option(help="First day of the history, such as 2026-01-31 (default: it ends now).")
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option("--faults", "--dirt", help="NAME=SHARE: share of events with a data fault, such as late=0.1."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="No data faults except those given by --faults.")] = False,
    file: Annotated[str | None, typer.Option(help="Send a file with one event per line; - is stdin.")] = None,
    timestamps: Annotated[Literal["now", "event_time"], typer.Option(help="Timestamps of a file's records.")] = "now",
    partition: Annotated[int | None, typer.Option(min=0, help="Topic partition of a file's records.")] = None,
    as_json: Json = False,
) -> None:
    """Send events to the log: live, a history, or a file.

    Sends live events at --rate (100) until --count or Ctrl-C. Without --rate, sends --count events immediately.
    --events, --days or --start send a history; after an interruption the same command continues it. The printed count
    includes only acknowledged records.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context)
    topics = parse_topics(topic or [])
    if file:
        generator_options = {"events": events, "days": days, "start": start, "seed": seed}
        reject_options({**generator_options, "faults": faults or None, "clean": clean or None}, "without --file")
    if file is None:
        file_options = {"timestamps": timestamps if timestamps != "now" else None, "partition": partition}
        reject_options(file_options, "with --file only")
    with stop_on_signals("stopping; the counted events are in the log", exit_code=1) as stop:
        from animeverse.services.produce import Request, parse_faults
        from animeverse.services.produce import produce as send
        from animeverse.terminal.progress import bars

        request = Request(
            topics=topics,
            rate=rate,
            count=count,
            seed=seed,
            start=parse_date(start),
            days=days,
            events=events,
            faults=parse_faults(faults or [], clean),
            file=file,
            timestamps=timestamps,
            partition=partition,
        )
        with bars() as progress:
            sent = send(settings, request, stop, progress)
    if as_json:
        print_json({"sent": sent.records, "seed": sent.seed, "all": sent.is_all})
    else:
        print(f"sent {sent.records} records")  # noqa: T201
    raise typer.Exit(0 if sent.is_all else 1)
