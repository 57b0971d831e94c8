"""Commands that run the pipeline: run, serve, rebuild."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Json, examples, parse_time, print_json, settings_of


@app.command(
    epilog=examples(
        "animeverse run", "animeverse run all --follow", "animeverse run bronze --once --batch-size 10000 --json"
    )
)
def run(
    context: typer.Context,
    layer: Annotated[Literal["bronze", "silver", "gold", "all"], typer.Argument(help="Layer to run.")] = "all",
    follow: Annotated[
        bool, typer.Option("--follow/--once", help="Run until stopped, or until the layer has caught up.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Most records per topic in a micro-batch (ANIMEVERSE_BATCH_SIZE).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run micro-batches through bronze, silver and gold.

    Ctrl-C stops the run without loss.
    """
    from animeverse.signals import stop_on_signals

    settings = settings_of(context, batch_size=batch_size)
    with stop_on_signals("stopping; the next run does what is not committed") as stop:
        from animeverse.services.run import run as run_pipeline
        from animeverse.terminal import run_report
        from animeverse.terminal.progress import bars

        with bars() as progress:
            report, seconds = run_pipeline(settings, layer, follow=follow, stop=stop, reporter=progress)
    if as_json:
        print_json(run_report.to_json(report, seconds))
    else:
        run_report.print_run(report, seconds)


@app.command(epilog=examples("animeverse serve", "animeverse serve --port 4300 --no-schedules"))
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the Prefect server that is started.")] = 4200,
    schedules: Annotated[
        bool, typer.Option("--schedules/--no-schedules", help="Activate or pause the schedules.")
    ] = True,
) -> None:
    """Run all deployments under Prefect on this machine.

    Starts a server, a worker and the schedules, and prints the address of the UI. Uses the server that PREFECT_API_URL
    names if it responds. Ctrl-C stops everything.
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
    layer: Annotated[Literal["gold"], typer.Argument(help="Layer to rebuild.")],
    into: Annotated[Path | None, typer.Option(help="Build into this new file and leave gold unchanged.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Use only what had arrived in the log by this time (needs --into).")
    ] = None,
) -> None:
    """Rebuild gold from silver, in place or into a file.

    All rows and keys are the same as before. Readers keep the published file until the new one is complete.
    """
    from animeverse.services.rebuild import rebuild_in_place, rebuild_into
    from animeverse.signals import stop_on_signals
    from animeverse.terminal.progress import bars
    from animeverse.terminal.run_report import print_run
    from pipelines.errors import UsageError

    settings, moment = settings_of(context), parse_time(as_of)
    if into is None and moment is not None:
        raise UsageError("--as-of needs --into FILE: the live gold always reflects everything that has arrived")
    if into is not None:
        refreshed = rebuild_into(settings, into, moment)
        print(f"{into}: {sum(refreshed.rows_changed.values()):,} rows in {refreshed.seconds['total']:.1f} s")  # noqa: T201
        return
    with stop_on_signals("stopping; the published file does not change, and the next run builds gold") as stop:
        with bars() as progress:
            report, seconds = rebuild_in_place(settings, stop, progress)
        print_run(report, seconds)
