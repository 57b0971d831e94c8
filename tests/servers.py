"""Servers for tests, each with its own folder and port."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(os.environ.get("ANIMEVERSE_TEST_TOOLS") or Path(__file__).resolve().parents[2] / "shared" / "tools")
GIVEN_PLACE = "LAKEHOUSE_TEST_PLACE"  # variable with the settings of a place, as JSON


class Server:
    """A running server with its own folder and port."""

    def __init__(self, tool: Path, folder: Path, *options: str, **environment: str) -> None:
        if not tool.exists():
            pytest.skip(f"no {tool.name}: ../shared/tools does not exist")
        self._tool, self._folder, self._environment = tool, folder, environment
        self.lines = self.start("--port", "0", *options)

    def start(self, *options: str) -> dict[str, str]:
        """Start it and return the variables it prints for clients. Skips the test if it cannot be started."""
        done = self._run("start", *options)
        if done.returncode:
            pytest.skip(f"no {self._tool.name}: {done.stderr.strip()}")
        return dict(word.split("=", 1) for word in shlex.split(done.stdout))

    def kill(self) -> None:
        assert self._run("kill9").returncode == 0

    def send(self, number: signal.Signals) -> None:
        state = json.loads(self._run("status").stdout)
        if state.get("pid"):
            os.kill(state["pid"], number)

    def wipe(self) -> None:
        self._run("wipe")

    def _run(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        line = [str(self._tool), command, "--dir", str(self._folder), *options]
        environment = {**os.environ, **self._environment}
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=400, check=False)
