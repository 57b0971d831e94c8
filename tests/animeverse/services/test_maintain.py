import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from animeverse.cli.main import app
from animeverse.services.maintain import reflected_snapshots
from pipelines.config.settings import load_settings
from tests.pipelines.small_home import movement, run_layers, send

pytestmark = pytest.mark.usefixtures("without_settings")


def run_command(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["--home", str(home), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def count(home: Path, table: str, *arguments: str) -> int:
    (row,) = json.loads(
        run_command(home, "query", f"select count(*) as n from {table}", "--format", "json", *arguments)
    )
    return int(row["n"])


@pytest.mark.slow
def test_maintain_keeps_the_snapshots_that_gold_continues_from(tmp_path: Path) -> None:
    for n in range(5):
        send(tmp_path, [movement(n)])
        run_layers(tmp_path, gold=True)
    pinned = reflected_snapshots(load_settings(home=tmp_path))
    assert pinned
    planned = json.loads(run_command(tmp_path, "maintain", "--dry-run", "--json"))
    done = json.loads(run_command(tmp_path, "maintain", "--json"))
    compacted = {of["table"]: (of["files"], of["into"]) for of in done["tables"] if of["files"]}
    assert compacted == {of["table"]: (of["files"], of["into"]) for of in planned["tables"] if of["files"]}
    assert compacted["silver.inventory_updates"] == (5, 1)
    assert "nothing to do" in run_command(tmp_path, "maintain")
    assert run_layers(tmp_path, gold=True).refreshes == 0
    send(tmp_path, [movement(7)])
    assert run_layers(tmp_path, gold=True).refreshes == 1
    assert json.loads(run_command(tmp_path, "verify", "--json"))
    assert count(tmp_path, "gold.fct_inventory_movement") == 6
