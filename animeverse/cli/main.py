"""The entry point of the command line: runs the command and turns errors into one sentence and an exit code."""

import gc
import os
import sys

from animeverse.cli import inspect, operate, produce, query, run
from animeverse.cli.app import app
from animeverse.cli.quarantine import quarantine
from pipelines.errors import LakehouseError

__all__ = ["app", "inspect", "main", "operate", "produce", "query", "run"]

app.add_typer(quarantine, name="quarantine")

_GC_THRESHOLDS = (20_000, 20, 50)  # imports make half a million objects and no garbage: a sixth of a command's start


class _WithoutPandas:
    """Where the notebooks' pandas is installed, PyArrow imports it, which no command needs: a second each time."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """As if it was not installed."""
        if name == "pandas":
            raise ModuleNotFoundError("no command of animeverse uses pandas", name=name)


def main() -> None:
    """Run the command; what a user can mend is told without a traceback."""
    sys.meta_path.insert(0, _WithoutPandas())
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        app()
    except LakehouseError as error:
        print(f"animeverse: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has enough
        sys.exit(0)
    except OSError as error:
        print(f"animeverse: {error.strerror or error}: {error.filename or 'no file named'}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
