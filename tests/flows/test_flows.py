"""Flows as modules, each with a temporary Prefect server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.operations.verify import verify
from tests.pipelines.outcome import fill_log, gold

pytestmark = pytest.mark.slow


def run_flow(module: str, home: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANIMEVERSE_", "PREFECT_"))
    }
    environment |= {"ANIMEVERSE_HOME": str(home), "HOME": str(home / "user")}
    done = subprocess.run(
        [sys.executable, "-m", module], env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def test_micro_batch_brings_all_layers_up_to_date(tmp_path: Path) -> None:
    fill_log(tmp_path, 1_000)
    output = run_flow("flows.micro_batch", tmp_path)
    assert output.startswith("{'records': ")
    assert [check for check in verify(load_settings(home=tmp_path)) if not check.ok] == []
    assert gold(tmp_path)["gold.fct_sales"]
    assert (tmp_path / "prefect").is_dir()
    assert not (tmp_path / "user" / ".prefect").exists()  # nothing is written outside the home
