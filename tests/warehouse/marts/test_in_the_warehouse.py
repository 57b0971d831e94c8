"""The marts over the real models: readable from the published file, consistent with their checks and headers."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.warehouse.marts.mart_tables import models
from tests.warehouse.silver_world import NOW, START, changes_of, random_silver
from warehouse.checks import checks_of
from warehouse.rebuild import rebuild
from warehouse.refresh.python_models import PYTHON_MODELS

MACROS = (
    "cross_sell_rate('2026-04-01')",
    "customer_purchases('2026-04-01')",
    "churn_features('2026-04-01')",
    "churn_labels('2026-03-05', days := 7)",
    "recommendation_interactions('2026-04-01')",
    "recommendation_labels('2026-03-05', days := 7)",
    "demand_forecast_features('2026-04-01', 7)",
    "demand_forecast_labels('2026-04-01', 7)",
)


@pytest.fixture(scope="module", params=range(2))
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gold") / "animeverse.duckdb"
    rebuild(changes_of(random_silver(request.param), START + timedelta(days=50)), file, NOW)
    return file


def test_every_mart_can_be_read_from_the_published_file_in_any_time_zone(published: Path) -> None:
    found = []
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        with duckdb.connect(str(published), read_only=True) as connection:
            connection.execute(f"set timezone = '{zone}'")
            names = [model.full_name for model in models() if model.kind != "macro"]
            names += [f"marts.{call}" for call in MACROS]
            found.append({name: Counter(connection.execute(f"from {name}").fetchall()) for name in names})
    assert found[0] == found[1] == found[2]
    assert found[0]["marts.customer_value"] and found[0]["marts.demand_forecast_features('2026-04-01', 7)"]


def test_views_answer_from_a_file_attached_under_another_name(published: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published}' as elsewhere (read_only)")
        for model in models():
            if model.kind != "macro":
                connection.execute(f"from elsewhere.{model.full_name}").fetchall()


def test_all_checks_hold_after_a_rebuild(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        for model in models():
            for check in checks_of(model):
                sql = re.sub(r"changed\.(dim|fct)", r"gold.\1", check.sql).replace(
                    f"changed.{model.name}", model.full_name
                )
                if check.action == "fail":
                    assert connection.execute(sql).fetchall() == [], check.claim


def test_a_header_reads_what_the_statement_reads() -> None:
    for model in models():
        code = re.sub("--.*", "", model.sql)
        named = set(re.findall(r"\b(?:(?:affected|gold|marts|ops|work)\.[a-z_0-9]+|totals\.customers)", code))
        named -= {model.full_name}
        behind = {read for name in named if name in PYTHON_MODELS for read in PYTHON_MODELS[name].reads}
        assert named | behind == set(model.reads), model.full_name
