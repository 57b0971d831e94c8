"""A full or read-only disk and a locked catalog: a clear error in time, and the next run gives the full result."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.operations.verify import verify
from tests.pipelines.outcome import fill_log

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_settings")]
TIME_LIMIT = 15.0  # seconds (R48)


def animeverse(home: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a separate process."""
    command = [sys.executable, "-m", "animeverse", "--home", str(home), *arguments]
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120, check=False
    )


def refused_in_time(home: Path, *arguments: str, **settings: str) -> str:
    """Run a command that must fail in time with exit code 1 and no traceback; return its stderr."""
    began = time.monotonic()
    done = animeverse(home, *arguments, **settings)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < TIME_LIMIT
    return done.stderr


def failed(home: Path) -> list[str]:
    checks = verify(load_settings(home=home))
    return [f"{check.name}: {check.detail}" for check in checks if not check.ok]


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system of 96 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("left", [0, 800, 6_000])
def test_a_run_on_a_full_disk_stops_with_a_clear_error_and_the_next_run_completes(
    small_disk: Path, tmp_path: Path, left: int
) -> None:
    fill_log(tmp_path / "log", 800)
    url = f"sqlite:///{tmp_path}/log/log.db"
    home = small_disk / "home"
    if left > 800:  # the disk becomes full during a later run, else during the first one
        assert animeverse(home, "run", "--batch-size", "20", ANIMEVERSE_LOG_URL=url).returncode == 0
        fill_log(tmp_path / "log", 800, seed=6)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(max(0, free - left * 1024)))
    stderr = refused_in_time(home, "run", "--batch-size", "20", ANIMEVERSE_LOG_URL=url)
    assert "o space" in stderr or "is full" in stderr, stderr
    if left > 800:
        assert animeverse(home, "query", "select count(*) from bronze.pos_transactions").returncode == 0
    ballast.unlink()
    assert animeverse(home, "run", "--batch-size", "500", ANIMEVERSE_LOG_URL=url).returncode == 0
    shutil.copy(tmp_path / "log" / "log.db", home)
    assert failed(home) == []


def test_a_read_only_home_is_refused_for_writing_and_can_be_queried(small_disk: Path) -> None:
    home = small_disk / "home"
    fill_log(home, 300)
    assert animeverse(home, "run").returncode == 0
    mount("-o", "remount,ro", str(small_disk))
    assert "ead-only" in refused_in_time(home, "run")
    assert animeverse(home, "query", "select count(*) from gold.fct_sales").returncode == 0
    mount("-o", "remount,rw", str(small_disk))
    assert animeverse(home, "run").returncode == 0
    assert failed(home) == []


def test_a_locked_catalog_is_named_and_the_next_run_completes(tmp_path: Path) -> None:
    fill_log(tmp_path, 300)
    assert animeverse(tmp_path, "run", "bronze").returncode == 0
    with closing(sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        assert "locked" in refused_in_time(tmp_path, "run")
    assert animeverse(tmp_path, "run").returncode == 0
    assert failed(tmp_path) == []
