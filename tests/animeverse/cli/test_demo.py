"""The command `demo` and the commands after it, as real processes on one home, in this order."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake

ROOT = Path(__file__).parents[3]
SMALL = ("--events", "3000", "--days", "8", "--seed", "5")


def _call(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "animeverse", f"--home={home}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> subprocess.CompletedProcess[str]:
    return _call(home, "demo", *SMALL)


def test_the_demo_ends_with_its_numbers_and_checks(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    for part in (
        "Rows by layer",
        "What became of every record",
        "Why records are in quarantine",
        "Revenue and attendance by week",
        "Nothing lost, nothing twice",
        "Time by step",
        "Three things to try next",
    ):
        assert part in first.stdout
    assert "█" in first.stdout
    assert re.search(r"all \d+ checks of `animeverse verify` hold", first.stdout)


def test_the_printed_conservation_law_adds_up(first: subprocess.CompletedProcess[str]) -> None:
    law = re.search(r"^([\d,]+) log records = ([\d,]+) in bronze = (.*)$", first.stdout, re.MULTILINE)
    assert law is not None
    parts = [int(number.replace(",", "")) for number in re.findall(r"[\d,]+\d|\d", law[3])]
    total = int(law[1].replace(",", ""))
    assert 2_900 < total < 3_100
    assert total == int(law[2].replace(",", "")) == sum(parts)


def test_progress_goes_to_stderr_and_no_output_has_escape_codes(first: subprocess.CompletedProcess[str]) -> None:
    assert first.stderr.splitlines() == ["producing ...", "running all layers ...", "verifying ..."]
    assert "\x1b" not in first.stdout + first.stderr


def test_the_suggested_commands_work(first: subprocess.CompletedProcess[str], home: Path) -> None:
    commands = first.stdout.split("Three things to try next")[1].strip().splitlines()
    assert len(commands) == 3
    for command in commands[:2]:
        sql = re.search(r'query "(.*)"', command)
        assert sql is not None
        assert _call(home, "query", sql[1]).returncode == 0


def test_a_second_demo_shows_the_first_one_and_how_to_start_over(
    first: subprocess.CompletedProcess[str], home: Path
) -> None:
    again = _call(home, "demo", "--events", "9999")
    assert again.returncode == 0
    assert "animeverse demo --fresh" in again.stderr
    assert again.stdout.split("Time by step")[0] == first.stdout.split("Time by step")[0]


@pytest.mark.slow
def test_fresh_generates_the_same_numbers_again(first: subprocess.CompletedProcess[str], home: Path) -> None:
    second = _call(home, "demo", *SMALL, "--fresh")
    assert second.returncode == 0
    assert second.stdout.split("Time by step")[0] == first.stdout.split("Time by step")[0]


def test_status_and_queries_read_the_lakehouse_of_the_demo(first: subprocess.CompletedProcess[str], home: Path) -> None:
    status = json.loads(_call(home, "status", "--json").stdout)
    assert set(status["catalog"]) >= {"type", "uri", "warehouse"}
    assert status["topics"]["pos-transactions"]["lag"] == 0
    assert status["topics"]["pos-transactions"]["watermark"].endswith("Z")
    assert status["gold"]["tables"]["fct_sales"] > 0
    assert "pos-transactions" in _call(home, "status").stdout
    counted = _call(home, "query", "select count(*) as n from silver.pos_transactions", "--format", "json")
    assert json.loads(counted.stdout)[0]["n"] == status["tables"]["silver.pos_transactions"]["rows"]


def test_after_ctrl_c_the_same_command_continues_without_loss(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "animeverse", f"--home={tmp_path / 'home'}", "demo", *SMALL]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        pass
    time.sleep(0.7)
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.perf_counter() - began < 3
    assert process.returncode == 0
    finished = _call(tmp_path / "home", "demo", *SMALL)
    assert finished.returncode == 0, finished.stderr
    assert "producing" not in finished.stderr
    assert _call(tmp_path / "home", "verify").returncode == 0


def test_reconcile_adds_up_and_lists_changes_by_late_data(first: subprocess.CompletedProcess[str], home: Path) -> None:
    output = _call(home, "reconcile")
    assert output.returncode == 0
    assert output.stdout.count("adds up") == 7
    assert re.search(r"\d{4}: net sales [\d,.]+ → [\d,.]+ \([+-][\d.]+ %\) from \d+ late event", output.stdout)
    reconciliation = json.loads(_call(home, "reconcile", "--json").stdout)
    assert reconciliation["ok"]
    for law in reconciliation["topics"]:
        accounted = law["on_time"] + law["late"] + law["duplicates"] + law["quarantined"]
        assert law["log"] == law["bronze"] == accounted


def test_reconcile_exits_with_1_and_names_the_topic_that_does_not_add_up(
    first: subprocess.CompletedProcess[str], home: Path
) -> None:
    settings = load_settings(home=home)
    lake = Lake.open(settings)
    table = lake.table("silver.quarantine")
    table.append(table.read().slice(0, 1), {"made": "by a test"})
    lake.close()
    ended = _call(home, "reconcile")
    assert ended.returncode == 1
    assert ended.stdout.count("does not add up") == 1
    assert "accepted + duplicates + quarantined is" in ended.stdout
    assert _call(home, "verify").returncode == 1
