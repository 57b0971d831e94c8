"""The entry point of the command line: runs a command and maps errors to a message and an exit code."""

import gc
import io
import os
import sys

from animeverse.cli import demo, inspect, operate, produce, query, run
from animeverse.cli.app import app
from animeverse.cli.quarantine import quarantine
from animeverse.terminal.text import visible
from pipelines.errors import LakehouseError

__all__ = ["app", "demo", "inspect", "main", "operate", "produce", "query", "run"]

app.add_typer(quarantine, name="quarantine")

# Imports create half a million objects and no garbage; collecting them takes a sixth of a command's start.
_GC_THRESHOLDS = (20_000, 20, 50)


class _NoPandas:
    """An import finder that hides pandas.

    PyArrow imports pandas where it is installed, as with the notebooks' dependencies. No command needs it, and the
    import takes a second.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raise ModuleNotFoundError for pandas, as if it was not installed."""
        if name == "pandas":
            raise ModuleNotFoundError("no command of animeverse uses pandas", name=name)


def main() -> None:
    """Run the command. Errors that a user can fix are printed without a traceback."""
    _prepare_streams()
    if (fault := _unusable()) is not None:
        print(visible(f"animeverse: {fault}"), file=sys.stderr)  # noqa: T201
        sys.exit(2)
    sys.meta_path.insert(0, _NoPandas())
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        app()
    except LakehouseError as error:
        print(visible(f"animeverse: {error}"), file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has closed the pipe
        sys.exit(0)
    except OSError as error:
        where = visible(str(error.filename)) if error.filename else "no file named"
        print(f"animeverse: {error.strerror or error}: {where}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _prepare_streams() -> None:
    """Characters that the encoding of stdout or stderr does not have are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _unusable() -> str | None:
    """Why the command cannot start here; None where it can."""
    for argument in sys.argv[1:]:
        if not argument.isascii() and argument.encode("utf-8", "replace").decode() != argument:
            return f"the argument {argument!r} is not valid UTF-8"
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return "the working folder does not exist any more: change to another folder"
    return None
