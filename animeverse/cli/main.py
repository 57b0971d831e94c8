"""The entry point of the command line: runs a command and maps errors to a message and an exit code."""

import gc
import os
import sys

from animeverse.cli import demo, inspect, operate, produce, query, run
from animeverse.cli.app import app
from animeverse.cli.quarantine import quarantine
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
    sys.meta_path.insert(0, _NoPandas())
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        app()
    except LakehouseError as error:
        print(f"animeverse: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has closed the pipe
        sys.exit(0)
    except OSError as error:
        print(f"animeverse: {error.strerror or error}: {error.filename or 'no file named'}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
