"""The registry: headers agree with the SQL, every column has a meaning, every table has checks."""

from pathlib import Path

import duckdb
import pytest

from tests.warehouse.silver_world import NOW, changes_of, random_silver
from warehouse.checks import checks_of
from warehouse.rebuild import rebuild
from warehouse.refresh.python_models import PYTHON_MODELS
from warehouse.registry import Model, of_kind, ordered, read_model, registry, tables_read


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "rebuilt.duckdb"
    rebuild(changes_of(random_silver(1)), file, NOW)
    return file


@pytest.mark.parametrize("model", registry(), ids=lambda model: model.full_name)
def test_a_header_names_what_the_sql_reads(model: Model) -> None:
    if model.kind == "macro":
        pytest.skip("a macro reads when it is called")
    macros = {macro.full_name for macro in of_kind("macro")}  # of these, sqlglot sees table macros alone
    behind = {read for name in model.reads if name in PYTHON_MODELS for read in PYTHON_MODELS[name].reads}
    assert set(model.reads) - macros == (set(tables_read(model.sql)) | behind) - macros, model.path


def test_every_published_column_has_a_description(published: Path) -> None:
    models = {model.full_name: model for model in registry()}
    with duckdb.connect(str(published), read_only=True) as connection:
        columns = connection.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
            " where table_schema in ('gold', 'marts')"
        ).fetchall()
    missing = [
        f"{table}.{column}"
        for table, column in columns
        if table != "gold.refreshes" and (table not in models or not models[table].describe(column))
    ]
    assert missing == []


def test_every_described_column_exists(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        for model in of_kind("fact", "days", "history", "members", "view", "table", "state"):
            found = connection.execute(f"describe {model.full_name}").fetchall()
            assert set(model.columns) <= {name for name, *_ in found}, model.full_name


def test_every_dimension_and_fact_has_checks() -> None:
    for model in of_kind("fact", "history", "members"):
        assert [check for check in checks_of(model) if check.action == "fail"], model.full_name


def test_models_come_after_what_they_read() -> None:
    names = [model.full_name for model in registry()]
    for model in registry():
        for read in model.reads:
            assert read not in names or names.index(read) <= names.index(model.full_name), (model.full_name, read)


def test_models_that_read_each_other_in_a_cycle_are_refused(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        text = (
            f"-- gold.{name}: x\n-- reads        gold.{other}\n-- materialize  view\nselect 1 as x from gold.{other}\n"
        )
        (tmp_path / f"{name}.sql").write_text(text)
    with pytest.raises(ValueError, match="circle"):
        ordered([read_model(tmp_path / "a.sql"), read_model(tmp_path / "b.sql")])


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_text("select 1 as x\n")
    with pytest.raises(ValueError, match="header"):
        read_model(tmp_path / "x.sql")
