import threading
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from animeverse.services.export import export
from animeverse.services.produce import send_history
from animeverse.services.run import run
from pipelines.config.settings import Settings, load_settings
from pipelines.errors import NoLakehouseError, StoreUnavailableError, UsageError
from producers.world import World

CUTOFF = datetime(2026, 3, 3, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small lakehouse with published gold."""
    settings = load_settings(home=tmp_path_factory.mktemp("export") / "home")
    send_history(settings, World(3, date(2026, 3, 1), 5, 2_500), threading.Event())
    run(settings, "all", follow=False, stop=threading.Event())
    return settings


def test_a_mart_is_exported_with_all_rows(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "daily.parquet"
    count = export(filled, "daily_summary", file, cutoff=None, horizon=None)
    with duckdb.connect(str(filled.published_path), read_only=True) as connection:
        ((rows,),) = connection.execute("select count(*) from marts.daily_summary").fetchall()
    assert count == len(pl.read_parquet(file)) == rows


@pytest.mark.parametrize(("mart", "horizon"), [("demand_forecast_features", 2), ("churn_labels", 1)])
def test_a_learning_data_set_takes_a_cutoff_and_a_horizon(
    filled: Settings, tmp_path: Path, mart: str, horizon: int
) -> None:
    count = export(filled, mart, tmp_path / "x.parquet", cutoff=CUTOFF, horizon=horizon)
    assert count == len(pl.read_parquet(tmp_path / "x.parquet"))
    assert count > 0 or mart == "churn_labels"


@pytest.mark.parametrize(("mart", "cutoff"), [("churn_features", None), ("daily_summary", CUTOFF), ("nothing", None)])
def test_a_cutoff_that_does_not_fit_the_mart_is_a_usage_error(
    filled: Settings, tmp_path: Path, mart: str, cutoff: datetime | None
) -> None:
    with pytest.raises(UsageError, match=mart):
        export(filled, mart, tmp_path / "x.parquet", cutoff=cutoff, horizon=None)


@pytest.mark.parametrize("mart", ["daily_summary", "recommendation_interactions"])
def test_a_horizon_that_does_not_fit_the_mart_is_a_usage_error(filled: Settings, tmp_path: Path, mart: str) -> None:
    with pytest.raises(UsageError, match=r"no --horizon; .*demand_forecast_features"):
        export(filled, mart, tmp_path / "x.parquet", cutoff=CUTOFF, horizon=3)


def test_a_cutoff_or_horizon_out_of_range_is_a_usage_error(filled: Settings, tmp_path: Path) -> None:
    early = datetime.fromisoformat("0001-01-01T00:00:00+05:00")
    with pytest.raises(UsageError, match="between the years 1 and 9999"):
        export(filled, "churn_features", tmp_path / "x.parquet", cutoff=early, horizon=None)
    with pytest.raises(UsageError, match=r"cannot be computed: .*range"):
        export(filled, "demand_forecast_features", tmp_path / "x.parquet", cutoff=CUTOFF, horizon=2**31 - 1)


def test_an_unreadable_published_file_is_a_store_error(settings: Settings, tmp_path: Path) -> None:
    settings.published_path.parent.mkdir(parents=True)
    settings.published_path.write_bytes(b"this is no database")
    with pytest.raises(StoreUnavailableError, match="cannot be read"):
        export(settings, "daily_summary", tmp_path / "x.parquet", cutoff=None, horizon=None)


def test_a_missing_warehouse_is_an_error_that_suggests_the_demo(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoLakehouseError, match="animeverse demo"):
        export(settings, "daily_summary", tmp_path / "x.parquet", cutoff=None, horizon=None)


def test_an_existing_file_is_overwritten_with_force_only(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        export(filled, "daily_summary", file, cutoff=None, horizon=None)
    assert file.read_text() == "mine"
    rows = export(filled, "daily_summary", file, cutoff=None, horizon=None, force=True)
    assert len(pl.read_parquet(file)) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_failed_export_leaves_the_old_file(filled: Settings, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_text("mine")
    with pytest.raises(UsageError, match="cannot be computed"):
        export(filled, "demand_forecast_features", file, cutoff=CUTOFF, horizon=2**31 - 1, force=True)
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.parametrize("target", ["log.db", "x.parquet", "gold/animeverse.duckdb", "lake/silver/x.parquet"])
def test_no_file_is_written_into_a_home(filled: Settings, target: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(filled.home)
    before = filled.log_path.read_bytes() if filled.log_path else b""
    for file in (filled.home / target, link / target):
        with pytest.raises(UsageError, match="is in the home"):
            export(filled, "daily_summary", file, cutoff=None, horizon=None, force=True)
    assert filled.log_path is not None and filled.log_path.read_bytes() == before
