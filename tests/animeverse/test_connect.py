import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

import animeverse
from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError


def test_one_connection_reads_all_layers_with_or_without_schema_names(published: Settings) -> None:
    with animeverse.connect(published.home) as con:
        joined = con.sql("select count(*) as n from gold.numbers, marts.totals, ops.refreshes, ops.batches").pl()
        assert joined["n"].to_list() == [0]
        assert con.sql("from bronze.pos_transactions").pl().columns[:2] == ["partition", "offset"]
        assert con.sql("from pos_items").fetchall() == []
        assert con.sql("from marts.below(2)").df()["n"].tolist() == [0, 1]


def test_the_home_defaults_to_the_settings(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_HOME", str(published.home))
    with animeverse.connect() as con:
        assert con.sql("from marts.totals").fetchall() == [(3,)]


def test_the_lakehouse_is_read_only_and_new_tables_live_in_memory(published: Settings) -> None:
    with animeverse.connect(published.home) as con:
        for sql in ("create table gold.mine as select 1", "delete from gold.numbers"):
            with pytest.raises(duckdb.InvalidInputException, match="read-only"):
                con.execute(sql)
        con.execute("create table mine as from gold.numbers")
        assert con.sql("select count(*) from mine").fetchall() == [(3,)]
    with animeverse.connect(published.home) as con, pytest.raises(duckdb.CatalogException):
        con.sql("from mine")


def test_times_are_in_utc(published: Settings) -> None:
    with animeverse.connect(published.home) as con:
        assert con.sql("select refreshed_at::varchar from ops.refreshes").fetchall() == [("2025-12-31 23:00:00+00",)]


def test_as_of_reads_silver_and_no_gold(published: Settings) -> None:
    with animeverse.connect(published.home, as_of=datetime.now(UTC) + timedelta(minutes=1)) as con:
        assert con.sql("select count(*) from silver.pos_items").fetchall() == [(0,)]
        with pytest.raises(duckdb.CatalogException):
            con.sql("from gold.numbers")


def test_a_missing_lakehouse_is_named_with_the_next_step(tmp_path: Path, without_settings: None) -> None:
    with pytest.raises(NoLakehouseError, match=f"{tmp_path}/nowhere: try `animeverse demo`"):
        animeverse.connect(tmp_path / "nowhere")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, animeverse; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"duckdb", "polars", "pyarrow", "pyiceberg", "pydantic"} & set(done.stdout.split())
