import re
from pathlib import Path

from animeverse.services.query import Session
from pipelines.config.settings import load_settings
from tests.pipelines.small_home import run_layers
from warehouse.data_dictionary import text

DOCS = Path(__file__).parents[2] / "docs" / "data_model.md"


def test_the_data_dictionary_is_what_the_models_say() -> None:
    assert DOCS.read_text(encoding="utf-8") == text(), "run `make docs`"


def test_every_column_has_a_meaning() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) > 500
    assert [row for row in rows if not row.rstrip("|").rstrip().split("|")[-1].strip()] == []


def test_every_table_of_a_lakehouse_is_described_with_all_its_columns(tmp_path: Path) -> None:
    run_layers(tmp_path, gold=True)
    described: dict[str, set[str]] = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"### (\w+\.\S+)", line):
            columns = described.setdefault(heading[1], set())
        elif column := re.match(r"\| `([^`]+)` \|", line):
            columns.add(column[1])
    with Session(load_settings(home=tmp_path)) as session:
        names = [(schema, table) for schema, table in session.tables() if schema != "work"]
        assert len(names) > 60
        for schema, table in names:
            found = set(session.run(f"select * from {schema}.{table} limit 0").names)
            page = "bronze.*" if schema == "bronze" else f"{schema}.{table}"
            assert described[page] == found, page


def test_a_macro_is_shown_with_its_parameters() -> None:
    assert "macro: `marts.cross_sell_rate(as_of, days := 90)`" in DOCS.read_text(encoding="utf-8")
