from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.config.settings import load_settings
from pipelines.errors import NoLakehouseError, PermanentError
from pipelines.lake.catalog import MIGRATIONS, Lake, catalog_properties, open_lakehouse, refuse_unfinished

ROWS = pa.table({"n": pa.array([1, 2], pa.int64())})


def test_a_table_is_created_once(lake: Lake) -> None:
    lake.ensure("ops.numbers", ROWS.schema).append(ROWS, {})
    again = lake.ensure("ops.numbers", pa.schema([pa.field("other", pa.string())]))
    assert again.columns == ("n",)
    assert again.read().num_rows == 2
    assert lake.names() == ["ops.numbers"]


def test_a_missing_table_is_none_or_an_error(lake: Lake) -> None:
    assert lake.find("ops.numbers") is None
    with pytest.raises(PermanentError, match=r"table ops\.numbers does not exist in the catalog sqlite:///"):
        lake.table("ops.numbers")


def test_an_empty_home_is_not_a_lakehouse(tmp_path: Path, without_settings: None) -> None:
    settings = load_settings(home=tmp_path)
    with pytest.raises(NoLakehouseError, match="there is no lakehouse in"):
        open_lakehouse(settings)
    Lake.open(settings).close()
    with pytest.raises(NoLakehouseError, match="has no bronze tables yet"):
        open_lakehouse(settings)


def test_the_properties_name_the_kind_of_catalog_and_the_root_of_the_files(
    tmp_path: Path, without_settings: None
) -> None:
    local = catalog_properties(load_settings(home=tmp_path))
    assert (local["type"], local["warehouse"]) == ("sql", f"file://{tmp_path}/lake")
    remote = catalog_properties(load_settings(catalog_url="http://catalog:8181", lake_root="s3://bucket/lake"))
    assert (remote["type"], remote["uri"], remote["warehouse"]) == ("rest", "http://catalog:8181", "s3://bucket/lake")


def test_an_unfinished_migration_is_refused_until_it_is_finished(lake: Lake) -> None:
    refuse_unfinished(lake)
    marker = lake.ensure(MIGRATIONS, ROWS.schema)
    with pytest.raises(PermanentError, match="Repeat the same `animeverse migrate`"):
        refuse_unfinished(lake)
    marker.append(ROWS, {})
    refuse_unfinished(lake)
