import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from animeverse.cli.main import app
from pipelines.config.settings import load_settings
from pipelines.maintenance.maintain import maintain
from tests.pipelines.small_home import movement, run_layers, send

pytestmark = pytest.mark.usefixtures("without_settings")


def count(home: Path, table: str, *arguments: str) -> int:
    sql = f"select count(*) as n from {table}"
    command = ["--home", str(home), "query", sql, "--format", "json", *arguments]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    return int(row["n"])


def test_query_as_of_reads_bronze_and_silver_of_that_time(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    moments = []
    for n in range(3):
        send(tmp_path, [movement(n)])
        run_layers(tmp_path)
        time.sleep(0.01)
        moments.append(datetime.now(UTC))
    for table in ("silver.inventory_updates", "bronze.inventory_updates"):
        assert count(tmp_path, table) == 3
        assert [count(tmp_path, table, "--as-of", moment.isoformat()) for moment in moments] == [1, 2, 3]
        assert count(tmp_path, table, "--as-of", before.isoformat()) == 0


def test_query_as_of_rejects_expired_snapshots_wrong_times_and_gold(tmp_path: Path) -> None:
    for n in range(4):
        send(tmp_path, [movement(n)])
        run_layers(tmp_path)
    first = datetime.now(UTC)
    for n in range(4, 8):
        send(tmp_path, [movement(n)])
        run_layers(tmp_path)
    maintain(load_settings(home=tmp_path, keep_commits=1, keep_hourly=0, keep_daily=0, orphan_age="0s"))
    runner = CliRunner()
    sql = "select count(*) from silver.inventory_updates"
    gone = runner.invoke(app, ["--home", str(tmp_path), "query", sql, "--as-of", first.isoformat()])
    assert "has no snapshot as of" in str(gone.exception)
    wrong = runner.invoke(app, ["--home", str(tmp_path), "query", sql, "--as-of", "yesterday"])
    assert "expected a time such as" in str(wrong.exception)
    gold = runner.invoke(app, ["--home", str(tmp_path), "query", "from gold.fct_sales", "--as-of", "2030-01-01"])
    assert "--as-of reads bronze, silver and ops only" in str(gold.exception)
