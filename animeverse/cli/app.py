"""The command line. Commands are thin: they read the settings, call a package, show the result.

Nothing heavy is imported before a command runs, so that help comes at once. Data goes to stdout, all else to stderr;
0 is fine, 1 a check that failed or machinery that broke, 2 wrong use.
"""

from pathlib import Path
from typing import Annotated

import typer

from animeverse.cli.options import examples

app = typer.Typer(
    name="animeverse",
    help="A whole streaming lakehouse on one node, in which every number can be proved.",
    epilog=examples("animeverse demo", "animeverse COMMAND --help"),
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help takes 0.2 s to import
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("animeverse"))  # noqa: T201
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Where all local state is (default: ANIMEVERSE_HOME).")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """What holds for every command."""
    context.obj = home
