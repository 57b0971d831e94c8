from pathlib import Path

from warehouse.data_dictionary import text

DOCS = Path(__file__).parents[2] / "docs" / "data_model.md"


def test_the_data_dictionary_is_what_the_models_say() -> None:
    assert DOCS.read_text(encoding="utf-8") == text(), "run `make docs`"


def test_every_column_has_a_meaning() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) > 500
    assert [row for row in rows if not row.rstrip("|").rstrip().split("|")[-1].strip()] == []
