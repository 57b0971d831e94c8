"""A real S3 server and a real REST catalog that die or hang in the middle of a commit."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from .outcome import fill_log

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.usefixtures("without_settings")]
TOOLS = Path(__file__).resolve().parents[3] / "shared" / "tools"
IN_TIME = 15.0  # seconds (R48)


class Server:
    """One of the tools' servers in a folder of its own, on a port of its own."""

    def __init__(self, tool: Path, folder: Path, *options: str, **environment: str) -> None:
        if not tool.exists():
            pytest.skip(f"no {tool.name}: ../shared/tools is not there")
        self._tool, self._folder, self._environment = tool, folder, environment
        self.lines = self.start("--port", "0", *options)

    def start(self, *options: str) -> dict[str, str]:
        """What it prints for clients; skips the test where it cannot be started."""
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


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Server]:
    server = Server(TOOLS / "s3" / "s3", tmp_path / "s3")
    yield server
    server.wipe()


@pytest.fixture
def rest(tmp_path: Path, s3: Server) -> Iterator[Server]:
    tool, root = TOOLS / "rest-catalog" / "rest-catalog", f"s3://{s3.lines['S3_BUCKET']}/lake"
    server = Server(tool, tmp_path / "rest", "--warehouse", root, **s3.lines)
    yield server
    server.send(signal.SIGCONT)
    server.wipe()


@pytest.fixture
def stores(s3: Server, rest: Server) -> dict[str, str]:
    """The settings that lead to both."""
    return {
        **s3.lines,
        "ANIMEVERSE_CATALOG_URL": rest.lines["ICEBERG_REST_URI"],
        "ANIMEVERSE_LAKE_ROOT": f"s3://{s3.lines['S3_BUCKET']}/lake",
    }


def start(home: Path, stores: Mapping[str, str], *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
    with (home / "stderr.txt").open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "animeverse", "--home", str(home), *arguments],
            env={**os.environ, **stores, **more},
            stderr=stderr,
            stdout=stderr,
        )


def finished(home: Path, stores: Mapping[str, str], *arguments: str) -> None:
    assert start(home, stores, *arguments).wait(200) == 0, (home / "stderr.txt").read_text()


STEPS = ("bronze.pos_transactions.files_written", "silver.worked_out", "silver.pos_items.committed")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("what", ["s3 dies", "catalog dies", "catalog hangs"])
def test_a_store_that_goes_in_the_middle_stops_a_run_in_time_and_the_next_converges(
    what: str, step: str, tmp_path: Path, s3: Server, rest: Server, stores: dict[str, str]
) -> None:
    home, pause = tmp_path / "home", tmp_path / "pause"
    fill_log(home, 600)
    pause.touch()
    run = start(home, stores, "run", "--batch-size", "100", ANIMEVERSE_FAULT_PAUSE=f"{step}:{pause}")
    deadline = time.monotonic() + 90
    while not (tmp_path / "pause.reached").exists():
        assert run.poll() is None, (home / "stderr.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if what == "s3 dies":
        s3.kill()
    elif what == "catalog dies":
        rest.kill()
    else:
        rest.send(signal.SIGSTOP)
    pause.unlink()
    began = time.monotonic()
    code = run.wait(60)
    said = (home / "stderr.txt").read_text()
    assert (code, "Traceback" in said) == (1, False), said
    assert time.monotonic() - began < IN_TIME
    assert "does not answer" in said
    began = time.monotonic()
    again = start(home, stores, "run")
    assert again.wait(60) == 1
    assert time.monotonic() - began < IN_TIME
    if what == "catalog hangs":
        rest.send(signal.SIGCONT)
    else:
        (s3 if what == "s3 dies" else rest).start()
    finished(home, stores, "run")
    finished(home, stores, "verify")
