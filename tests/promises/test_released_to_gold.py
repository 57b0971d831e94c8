"""A record that came too late, released, through all layers to gold, by the commands that a person types."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.small_home import DAY, run_layers, sale, send

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LATE = DAY - timedelta(days=3)


def call(home: Path, *words: str, code: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ANIMEVERSE_HOME": str(home)}
    command = [sys.executable, "-m", "animeverse", *words]
    ended = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    return ended.stdout


def json_of(home: Path, *words: str) -> Any:
    return json.loads(call(home, *words, "--json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sales of four days; one of them came too late, and one has its quantity as text."""
    home = tmp_path_factory.mktemp("home")
    topic = "pos-transactions"
    sales = [sale(number, "10.00", LATE + timedelta(days=number)) for number in range(4)]
    send(home, sales, topic=topic, key=None)
    send(home, [sale(8, "99999999999999.9999", LATE)], topic=topic, key=None, at=DAY)
    wrong = json.dumps(sale(9, "2.50", DAY)).replace('"quantity": 1', '"quantity": "1"').encode()
    send(home, [wrong], topic=topic, key=None)
    run_layers(home, gold=True)
    return home


def test_a_release_restates_the_past_and_a_fix_mends_a_record(home: Path) -> None:
    listed = {rule["rule"]: rule["records"] for rule in json_of(home, "quarantine", "list")}
    assert listed == {"too_late": 1, "type:items.quantity": 1}
    release = ("quarantine", "release", "--topic", "pos-transactions")
    (home / "fix.sql").write_text('replace(value, \'"quantity": "1"\', \'"quantity": 1\')\n')
    forecast = json_of(home, *release, "--dry-run", "--fix", "fix.sql")
    assert (forecast["would_pass"], forecast["would_be_quarantined_again"]) == (2, 0)
    assert json_of(home, *release, "--rule", "too_late")["released"] == 1
    assert json_of(home, *release, "--offset", "1/5", "--fix", "fix.sql")["copies"] == [
        {"record": "1/5", "copy": "1/7"}
    ]
    assert json_of(home, *release, "--fix", "fix.sql")["released"] == 0
    call(home, "run")

    days = "select date, net_sales_amount, late_correction_amount from marts.daily_summary order by date limit 1"
    assert call(home, "query", days, "--format", "csv").splitlines()[1] == (
        "2026-03-07,100000000000009.9999,99999999999999.9999"
    )
    found = json_of(home, "reconcile")
    assert found["ok"]
    [topic] = [topic for topic in found["topics"] if topic["topic"] == "pos-transactions"]
    assert topic["releases"] == {"released": 2, "accepted": 2, "quarantined_again": 0, "other": 0}
    assert {"date": "2026-03-07", "on_time": 1, "late": 1} in topic["event_days"]
    net_sales = [one for one in found["late"] if one["kpi"] == "net_sales_amount" and one["date"] == "2026-03-07"]
    assert [(one["before"], one["after"], one["events"]) for one in net_sales] == [
        ("10.0000", "100000000000009.9999", 1)
    ]
    assert "Saturday 7 March 2026: net sales 10.00 → 100,000,000,000,010.00" in call(home, "reconcile")

    traced = json_of(home, "trace", "s8")
    assert [record["verdict"] for record in traced["records"]] == ["quarantined", "accepted"]
    assert [record["released_from"] for record in traced["records"]] == [None, "1/4"]
    assert [(row["table"], row["net_sales_amount"]) for row in traced["gold"]] == [
        ("gold.fct_sales", "99999999999999.9999")
    ]
    assert "released as 1/6" in call(home, "trace", "s8")
    assert "released from" in call(home, "quarantine", "show", "--offset", "1/4") + call(home, "trace", "s9")
    call(home, "verify")


def test_what_is_not_there_is_said(home: Path) -> None:
    assert call(home, "trace", "nobody", code=1) == ""
    assert call(home, "quarantine", "list", "--rule", "future", "--json") == "[]\n"
    call(home, "quarantine", "release", "--topic", "pos-transactions", "--offset", "0/0", code=2)
    call(home, "quarantine", "release", "--topic", "pos-transactions", "--fix", "no.sql", code=2)
    call(home, "quarantine", "list", "--since", "yesterday", code=2)
