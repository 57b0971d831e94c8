"""The promises hold for every location of log, catalog and files: in the home or, by configuration, on servers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.contracts.registry import TOPICS
from pipelines.operations.verify import verify
from tests.pipelines.outcome import fill_log, gold, silver
from tests.pipelines.small_home import run_layers
from tests.promises.test_crash import run_driver
from tests.servers import GIVEN_PLACE
from warehouse.verify import gold_checks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_settings")]
EVENTS = 150  # before each step
STEPS = (
    "bronze.pos_transactions.files_written",
    "silver.quarantine.committed",
    "silver.pos_items.committed",
    "silver.customer_profiles.committed",
    "gold.committed",
)


def failed(home: Path, *, rebuild: bool = False) -> list[str]:
    checks = verify(load_settings(home=home), rebuild=rebuild, gold_checks=gold_checks)
    return [f"{check.name}: {check.detail}" for check in checks if not check.ok]


def test_runs_killed_in_small_batches_give_the_tables_of_one_undisturbed_batch(
    place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, home = tmp_path / "undisturbed", tmp_path / "home"
    for seed in range(len(STEPS)):
        fill_log(undisturbed, EVENTS, seed=seed)
    assert run_driver(undisturbed, size=100_000) == 0
    expected = silver(undisturbed), gold(undisturbed)
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    for seed, step in enumerate(STEPS):
        fill_log(home, EVENTS, seed=seed)
        assert run_driver(home, step, size=60, **place) == -signal.SIGKILL, step
    assert run_driver(home, size=60, **place) == 0
    assert failed(home, rebuild=True) == []
    found = silver(home), gold(home)
    assert [name for name in expected[0] if not expected[0][name].equals(found[0][name])] == []
    assert [name for name in expected[1] if expected[1][name] != found[1][name]] == []


@pytest.mark.services
@pytest.mark.broker
def test_the_same_over_sasl_and_tls(secure_place: dict[str, str]) -> None:
    """Runs in a separate pytest, since PyArrow reads SSL_CERT_FILE only once."""
    test = test_runs_killed_in_small_batches_give_the_tables_of_one_undisturbed_batch
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test.__name__}[services]"],
        env={**os.environ, **secure_place, GIVEN_PLACE: json.dumps(secure_place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "1 passed" in done.stdout


@pytest.mark.services
@pytest.mark.broker
def test_a_local_lakehouse_continues_on_servers(
    stores: dict[str, str], kafka_url: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, file = tmp_path / "home", tmp_path / "servers.env"
    fill_log(home, 400)
    run_layers(home, gold=True)
    file.write_text("".join(f"{name}={value}\n" for name, value in stores.items()))
    command = [sys.executable, "-m", "animeverse", "--home", str(home), "migrate", "--to", str(file)]
    killed = subprocess.run(
        command, env={**os.environ, "ANIMEVERSE_FAULT": "silver.pos_items.published"}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, value in stores.items():
        monkeypatch.setenv(name, value)
    assert failed(home) == []
    fill_log(home, 400, seed=6)
    assert run_layers(home, gold=True).polled > 0
    assert failed(home) == []
    monkeypatch.setenv("ANIMEVERSE_LOG_URL", kafka_url)
    monkeypatch.setenv("ANIMEVERSE_TOPIC_PREFIX", topic_prefix)
    fill_log(home, 400, seed=7)
    resuming = [sys.executable, "-m", "animeverse", "--home", str(home), "resume", *TOPICS]
    assert subprocess.run(resuming, capture_output=True, check=False).returncode == 0
    assert run_layers(home, gold=True).polled > 0
    assert failed(home) == []
