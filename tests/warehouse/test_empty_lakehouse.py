"""A run without records leaves a lakehouse that can be read and passes its checks."""

from pathlib import Path

import duckdb

from pipelines.config.settings import load_settings
from pipelines.operations.verify import verify
from tests.pipelines.small_home import run_layers
from warehouse.verify import gold_checks


def test_an_empty_warehouse_is_published_once_and_holds_no_facts(tmp_path: Path) -> None:
    assert run_layers(tmp_path, gold=True).refreshes == 1
    assert run_layers(tmp_path, gold=True).refreshes == 0
    settings = load_settings(home=tmp_path)
    with duckdb.connect(str(settings.published_path), read_only=True) as gold:
        assert gold.execute("select count(*) from gold.fct_sales").fetchall() == [(0,)]
        assert gold.execute("from marts.daily_summary").fetchall() == []
    assert [check for check in verify(settings, rebuild=True, gold_checks=gold_checks) if not check.ok] == []
