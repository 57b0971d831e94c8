from pathlib import Path

import duckdb
import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.tables import BRONZE
from pipelines.lake.catalog import Lake


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    return load_settings(home=tmp_path / "home")


@pytest.fixture
def published(settings: Settings) -> Settings:
    """A home with a small published file and a few empty Iceberg tables, made without a pipeline."""
    settings.published_path.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.published_path)) as connection:
        for schema in ("gold", "marts", "ops"):
            connection.execute(f"create schema {schema}")
        connection.execute(
            "create table gold.numbers as select range as n, (range / 3)::decimal(18, 4) as share from range(3)"
        )
        connection.execute("create table gold.dim_date as select date '2026-01-01' as date")
        connection.execute("create view marts.totals as select sum(n) as total from gold.numbers")
        connection.execute("create macro marts.below(most) as table select n from gold.numbers where n < most")
        connection.execute("create table ops.refreshes (refresh_id bigint, refreshed_at timestamptz)")
        connection.execute("insert into ops.refreshes values (1, '2026-01-01 00:00:00+01')")
    lake = Lake.open(settings)
    rows = BRONZE.empty_table()
    for name in ("bronze.pos_transactions", "silver.pos_items", "ops.batches"):
        lake.ensure(name, BRONZE).append(rows, {"made": "by a test"})
    lake.close()
    return settings
