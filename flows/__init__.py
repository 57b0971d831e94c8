"""The pipeline as Prefect flows. Each flow calls the service that the command of the same purpose calls.

Prefect's own files go into the lakehouse's home, and nothing is sent outside. Variables that are set already take
precedence.
"""

import os
import sys

from rich.console import Console

from pipelines.config.settings import load_settings

os.environ.setdefault("PREFECT_HOME", str(load_settings().home / "prefect"))
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # takes 10-24 s on an idle machine


def _discard_output(console: Console) -> None:
    """Send further output to /dev/null after a broken pipe.

    A killed worker closes the pipe that its runs write to. Rich, which Prefect logs with, would end the run at its next
    line. The server still receives the logs.
    """
    console.quiet = True
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    os.close(null)


Console.on_broken_pipe = _discard_output  # type: ignore[assignment, method-assign]
