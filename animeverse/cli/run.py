"""Commands that run the pipeline: run, serve, rebuild."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, moment_of, print_json, settings_of


@app.command(
    epilog=examples(
        "animeverse run", "animeverse run all --follow", "animeverse run bronze --once --batch-size 10000 --json"
    )
)
def run(
    context: typer.Context,
    layer: Annotated[Literal["bronze", "silver", "gold", "all"], typer.Argument(help="Which layer.")] = "all",
    follow: Annotated[bool, typer.Option("--follow/--once", help="For ever, or what the log holds now.")] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Most records a topic in a micro-batch (ANIMEVERSE_BATCH_SIZE).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run micro-batches through bronze, silver and gold.

    Until the log has nothing new, or for ever. Ctrl-C stops it and nothing is lost.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context, batch_size=batch_size)
    with stop_on_signals("stopping; what is not committed will be done by the next run") as stop:
        from animeverse.services import run as running
        from animeverse.terminal import run_report

        report, took = running.run(settings, layer, follow=follow, stop=stop)
    if as_json:
        print_json(run_report.as_json(report, took))
    else:
        run_report.print_report(report, took)


@app.command(epilog=examples("animeverse serve", "animeverse serve --port 4300 --no-schedules"))
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Prefect server, where one is started.")] = 4200,
    schedules: Annotated[bool, typer.Option("--schedules/--no-schedules", help="Whether they are active.")] = True,
) -> None:
    """Run everything under Prefect on this machine: server, worker, deployments, schedules.

    Prints the address of the UI. Uses the server that PREFECT_API_URL names, if it answers. Ctrl-C ends all of it.
    """
    from animeverse.serve.serve import serve as serve_home

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201

    serve_home(settings_of(context), port=port, schedules=schedules, say=say, show=lambda url: print(url, flush=True))  # noqa: T201


@app.command(
    epilog=examples(
        "animeverse rebuild gold", "animeverse rebuild gold --as-of 2026-11-14T18:00:00Z --into saturday.duckdb"
    )
)
def rebuild(
    context: typer.Context,
    layer: Annotated[Literal["gold"], typer.Argument(help="Which layer.")],
    into: Annotated[Path | None, typer.Option(help="Build into this new file and leave gold alone.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Only what had arrived in the log by then (needs --into).")] = None,
) -> None:
    """Build gold from nothing: in place, or as it was known at a moment into a file of its own.

    Every row and key is the same as before. Readers keep the published file until the new one is there.
    """
    from animeverse.services import rebuild as rebuilding
    from animeverse.signals import stop_on_signals
    from animeverse.terminal.run_report import print_report
    from pipelines.errors import UsageError

    settings, moment = settings_of(context), moment_of(as_of)
    if into is None and moment is not None:
        raise UsageError("--as-of needs --into FILE: gold itself always reflects all that has arrived")
    if into is not None:
        done = rebuilding.into(settings, into, moment)
        print(f"{into}: {sum(done.rows_changed.values()):,} rows in {done.seconds['total']:.1f} s")  # noqa: T201
        return
    with stop_on_signals("stopping; the published file stays as it is, the next run builds gold") as stop:
        print_report(*rebuilding.in_place(settings, stop))
