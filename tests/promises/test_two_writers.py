"""Two real processes on one lakehouse: the second is refused, and a paused writer loses the compare-and-swap."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.operations.verify import verify
from tests.pipelines.outcome import fill_log

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_settings")]
BATCH_SIZE = 150


def start(home: Path, *, follow: bool = False, **settings: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.promises.crash_driver", str(home), str(BATCH_SIZE)]
    if follow:
        command.append("--follow")
    home.mkdir(exist_ok=True)
    with stderr_of(home).open("w") as stderr:
        return subprocess.Popen(command, env={**os.environ, **settings}, stderr=stderr)


def stderr_of(home: Path) -> Path:
    return home / "stderr.txt"


def finished(process: "subprocess.Popen[bytes]", home: Path) -> None:
    assert process.wait(120) == 0, stderr_of(home).read_text()


def until(path: Path, process: "subprocess.Popen[bytes]", seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the process ended first"
        assert time.monotonic() < deadline, f"{path} was not created"
        time.sleep(0.02)


def failed(settings: Settings) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify(settings) if not check.ok]


def test_a_second_run_on_a_home_is_refused_and_names_the_first(tmp_path: Path) -> None:
    fill_log(tmp_path, 200)
    first = start(tmp_path, follow=True)
    try:
        until(tmp_path / "gold" / "animeverse.duckdb", first)
        began = time.monotonic()
        command = [sys.executable, "-m", "animeverse", "--home", str(tmp_path), "run"]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"pid {first.pid}" in second.stderr
        assert time.monotonic() - began < 10
    finally:
        first.kill()
        first.wait()
    finished(start(tmp_path), tmp_path)
    assert failed(load_settings(home=tmp_path)) == []


@pytest.mark.parametrize(
    "step",
    [
        "bronze.pos_transactions.polled",
        "bronze.pos_transactions.files_written",
        "bronze.cinema_sales.committed",
        "silver.worked_out",
        "silver.quarantine.files_written",
        "silver.pos_items.files_written",
        "silver.pos_items.committed",
        "silver.pos_transactions.files_written",
        "ops.batches.files_written",
    ],
)
def test_a_writer_that_resumes_after_another_one_took_over_duplicates_nothing(step: str, tmp_path: Path) -> None:
    shared = {
        "ANIMEVERSE_LOG_URL": f"sqlite:///{tmp_path}/log.db",
        "ANIMEVERSE_CATALOG_URL": f"sqlite:///{tmp_path}/catalog.db",
        "ANIMEVERSE_LAKE_ROOT": str(tmp_path / "lake"),
    }
    fill_log(tmp_path, 1_500)
    pause = tmp_path / "pause"
    pause.touch()
    paused = start(tmp_path / "a", **shared, ANIMEVERSE_FAULT_PAUSE=f"{step}:{pause}")
    try:
        until(tmp_path / "pause.reached", paused)
        finished(start(tmp_path / "b", **shared), tmp_path / "b")
        fill_log(tmp_path, 100, seed=8)  # so that it has records to continue with
        pause.unlink()
        finished(paused, tmp_path / "a")
    finally:
        paused.kill()
        paused.wait()
    settings = load_settings(
        home=tmp_path / "a",
        log_url=shared["ANIMEVERSE_LOG_URL"],
        catalog_url=shared["ANIMEVERSE_CATALOG_URL"],
        lake_root=shared["ANIMEVERSE_LAKE_ROOT"],
    )
    assert failed(settings) == []
