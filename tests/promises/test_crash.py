"""A real process is killed at every step; the next run gives the same tables as a run that was not killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.operations.verify import verify
from tests.pipelines.outcome import differences, fill_log
from tests.pipelines.small_home import movement, rows

pytestmark = pytest.mark.slow
BATCH_SIZE = 400
STEPS = (
    "bronze.pos_transactions.polled",
    "bronze.pos_transactions.files_written",
    "bronze.pos_transactions.committed",
    "bronze.anime_schedule.committed",
    "silver.worked_out",
    "silver.quarantine.files_written",
    "silver.quarantine.committed",
    "silver.pos_items.files_written",
    "silver.pos_items.committed",
    "silver.pos_transactions.files_written",
    "silver.pos_transactions.committed",
    "silver.customer_profiles.committed",
    "gold.refreshed",
    "gold.committed",
    "gold.copied",
    "gold.published",
    "ops.rule_counts.committed",
    "ops.batches.files_written",
    "ops.batches.committed",
)


def run_driver(home: Path, fault: str | None = None, size: int = BATCH_SIZE, **locations: str) -> int:
    """Run the driver and return its exit code. `locations` are settings for log, catalog and files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANIMEVERSE_")}
    environment |= locations
    if fault:
        environment["ANIMEVERSE_FAULT"] = fault
    command = [sys.executable, "-m", "tests.promises.crash_driver", str(home), str(size)]
    return subprocess.run(command, env=environment, check=False, timeout=300).returncode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose run was not killed."""
    home = tmp_path_factory.mktemp("undisturbed")
    fill_log(home, 2_000)
    shutil.copy(home / "log.db", home / "log-before.db")
    assert run_driver(home) == 0
    return home


# All steps of a run's first round, and the steps around silver of its second one.
RUNS = [*(f"{step}:1" for step in STEPS), *(f"{step}:2" for step in STEPS if "pos_" in step or "worked" in step)]


@pytest.mark.parametrize("step", RUNS)
def test_a_run_killed_at_any_step_loses_and_duplicates_nothing(step: str, undisturbed: Path, tmp_path: Path) -> None:
    shutil.copy(undisturbed / "log-before.db", tmp_path / "log.db")
    code = run_driver(tmp_path, step)
    if code == 0 and step.endswith(":2"):
        pytest.skip("the run reaches this step only once")
    assert code == -signal.SIGKILL
    assert run_driver(tmp_path) == 0
    failed = [check for check in verify(load_settings(home=tmp_path)) if not check.ok]
    assert failed == []
    assert differences(undisturbed, tmp_path) == []


LANDING_STEPS = (
    "landing.ingested",
    "landing.move_noted",
    "landing.moved",
    "bronze.inventory_updates.files_written",
    "bronze.inventory_updates.committed",
    "ops.landing_files.files_written",
    "ops.landing_files.committed",
)


@pytest.mark.parametrize("step", LANDING_STEPS)
def test_a_landing_file_is_ingested_once_after_a_kill_at_any_step(step: str, tmp_path: Path) -> None:
    folder = tmp_path / "landing" / "inventory-updates"
    folder.mkdir(parents=True)
    file = folder / "stock.ndjson"
    file.write_text("".join(json.dumps(movement(number)) + "\n" for number in range(30)))
    os.utime(file, (time.time() - 60, time.time() - 60))
    assert run_driver(tmp_path, step) == -signal.SIGKILL
    assert run_driver(tmp_path) == 0
    settings = load_settings(home=tmp_path)
    assert rows(settings, "bronze.inventory_updates")["offset"].sort().to_list() == list(range(30))
    assert rows(settings, "ops.landing_files")["rows"].to_list() == [30]
    assert rows(settings, "silver.inventory_updates").height == 30
    assert not file.exists()
    assert (tmp_path / "landing" / "_done" / "inventory-updates" / file.name).exists()
    assert [check for check in verify(settings) if not check.ok] == []
