"""A real S3 server and a real REST catalog that stop or hang during a commit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pipelines.outcome import fill_log
from tests.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.usefixtures("without_settings")]
TIME_LIMIT = 15.0  # seconds (R48)


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
@pytest.mark.parametrize("failure", ["s3 stops", "catalog stops", "catalog hangs"])
def test_a_failing_store_stops_a_run_in_time_and_the_next_run_completes(
    failure: str, step: str, tmp_path: Path, s3: Server, rest: Server, stores: dict[str, str]
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
    if failure == "s3 stops":
        s3.kill()
    elif failure == "catalog stops":
        rest.kill()
    else:
        rest.send(signal.SIGSTOP)
    pause.unlink()
    began = time.monotonic()
    code = run.wait(60)
    stderr = (home / "stderr.txt").read_text()
    assert (code, "Traceback" in stderr) == (1, False), stderr
    assert time.monotonic() - began < TIME_LIMIT
    assert "does not answer" in stderr
    began = time.monotonic()
    again = start(home, stores, "run")
    assert again.wait(60) == 1
    assert time.monotonic() - began < TIME_LIMIT
    if failure == "catalog hangs":
        rest.send(signal.SIGCONT)
    else:
        (s3 if failure == "s3 stops" else rest).start()
    finished(home, stores, "run")
    finished(home, stores, "verify")
