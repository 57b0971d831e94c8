"""Commands that query the tables: query, sql, export."""

from pathlib import Path
from typing import Annotated

import typer

from animeverse.cli.app import app
from animeverse.cli.options import Format, examples, parse_time, settings_of


@app.command(
    epilog=examples(
        'animeverse query "from marts.daily_summary order by date desc limit 7"',
        'animeverse query "select topic, reasons, count(*) from silver.quarantine group by all" --format json',
        'animeverse query "select count(*) from silver.pos_transactions" --as-of 2026-01-31T12:00:00Z',
    )
)
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One query in DuckDB SQL.")],
    format_: Annotated[Format, typer.Option("--format", help="Output format.")] = "table",
    as_of: Annotated[
        str | None, typer.Option(help="Read bronze and silver as of a time, such as 2026-01-31T12:00:00Z.")
    ] = None,
) -> None:
    """Query all layers as one DuckDB database.

    The schemas are gold, marts, ops, silver and bronze; all are read-only. Exit code 2 for wrong SQL.
    """
    from animeverse.services.query import Session
    from animeverse.terminal.formats import print_result

    with Session(settings_of(context), parse_time(as_of)) as session:
        print_result(session.run(sql), format_)


@app.command(
    epilog=examples(
        "animeverse export daily_summary --to daily.parquet",
        "animeverse export demand_forecast_features --cutoff 2026-11-01 --horizon 7 --to demand.parquet",
    )
)
def export(
    context: typer.Context,
    mart: Annotated[str, typer.Argument(help="A mart or a learning data set.")],
    to: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    cutoff: Annotated[str | None, typer.Option(help="For a learning data set: use nothing after this time.")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days ahead of a forecast (7) or of labels (90, 28).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a mart to a Parquet file and print the number of rows.

    The file must be outside of a home. It is written whole or not at all.
    """
    from animeverse.services.export import export as write

    moment = parse_time(cutoff, "--cutoff")
    print(write(settings_of(context), mart, to, cutoff=moment, horizon=horizon, force=force))  # noqa: T201


@app.command(epilog=examples("animeverse sql", "animeverse sql --format csv < report.sql > report.csv"))
def sql(
    context: typer.Context,
    format_: Annotated[Format, typer.Option("--format", help="Output format.")] = "table",
) -> None:
    """Enter SQL interactively, or read it from a pipe.

    The prompt has a history. Statements from a pipe run up to the first that fails.
    """
    from animeverse.terminal.shell import run_shell

    run_shell(settings_of(context), format_)
