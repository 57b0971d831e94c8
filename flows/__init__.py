"""Prefect's view of the pipeline. Nothing is decided here: each flow calls what the command line calls.

Prefect's own files go into the lakehouse's home, and nothing calls outside; what the environment says already stands.
"""

import os
import sys

from rich.console import Console

from pipelines.config.settings import load_settings

os.environ.setdefault("PREFECT_HOME", str(load_settings().home / "prefect"))
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # 10-24 s on an idle machine


def _go_on_silently(console: Console) -> None:
    """A worker that is killed takes the other end of its runs' output with it. Rich, by which Prefect writes to it,
    would end the run at its next line; the logs go to the server all the same.
    """
    console.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


Console.on_broken_pipe = _go_on_silently  # type: ignore[assignment, method-assign]
