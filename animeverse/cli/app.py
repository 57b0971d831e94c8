"""The Typer application that the command modules register with.

Commands are thin: they read the settings, call a service or a package, and show the result. They import what they need
when they run, so that help stays fast. Data goes to stdout, everything else to stderr. Exit codes: R48.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from animeverse.cli.options import examples

_COMMANDS = (  # the order of the help, from the first command a user needs to the rarest
    "demo", "produce", "run", "serve", "resume", "doctor", "status", "verify", "reconcile", "query", "maintain",
    "relocate", "repair", "migrate", "rebuild", "export", "sql", "contracts", "trace", "quarantine",
)  # fmt: skip


class _OrderedGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in the order of the help."""
        return sorted(self.commands, key=_COMMANDS.index)


app = typer.Typer(
    name="animeverse",
    cls=_OrderedGroup,
    help="A streaming lakehouse on one node, in which every number can be proved.",
    epilog=examples("animeverse demo", "animeverse COMMAND --help"),
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help takes 0.2 s to import
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_given: bool) -> None:
    if is_given:
        from importlib.metadata import version

        print(version("animeverse"))  # noqa: T201
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of all local state (default: ANIMEVERSE_HOME).")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keep the options that hold for every command."""
    context.obj = home
