import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animeverse.terminal.formats import to_json, unique, write_csv, write_json, write_table
from pipelines.clock import instant


def _json(names: list[str], rows: list[tuple[Any, ...]]) -> str:
    out = io.StringIO()
    write_json(out, names, rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("99999999999999.9999"), "99999999999999.9999"),
        (Decimal("0E-10"), "0.0000000000"),
        (Decimal("1E+3"), "1000"),
        (12345678901234567890123456789012345678, "12345678901234567890123456789012345678"),
        (True, "true"),
        (None, "null"),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        (0.1, "0.1"),
        (1e25, "1e+25"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), '"2026-01-01T00:00:00Z"'),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC).replace(tzinfo=None), '"2026-01-01T00:00:00.000001Z"'),
        (date(1, 1, 1), '"0001-01-01"'),
        (time(1, 2, 3), '"01:02:03"'),
        (b"\xff\x00", '"/wA="'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ("é\n\x00", '"é\\n\\u0000"'),
        ([Decimal("1.50"), None, (1, 2)], "[1.50, null, [1, 2]]"),
        (
            {"a": {"b": float("nan")}, 1: b"x", date(2026, 1, 1): True},
            '{"a": {"b": null}, "1": "eA==", "2026-01-01": true}',
        ),
    ],
)
def test_values_are_written_as_json(value: object, text: str) -> None:
    assert to_json(value) == text
    json.loads(text)


def test_json_is_an_array_of_objects() -> None:
    assert _json(["a"], []) == "[]\n"
    assert json.loads(_json(["a", "b"], [(1, "x"), (2, None)])) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_columns_with_the_same_name_are_numbered() -> None:
    assert unique(["a", "a_1", "a", "a"]) == ["a", "a_1", "a_2", "a_3"]
    assert json.loads(_json(["a", "a"], [(1, 2)])) == [{"a": 1, "a_1": 2}]


@given(
    st.lists(
        st.tuples(st.decimals(allow_nan=False, allow_infinity=False), st.text(), st.floats(allow_nan=False)), max_size=5
    )
)
def test_json_round_trips_with_all_digits(rows: list[tuple[Any, ...]]) -> None:
    read = json.loads(_json(["d", "t", "f"], rows), parse_float=Decimal, parse_int=Decimal)
    expected = [(d, t, None if f in (float("inf"), float("-inf")) else f) for d, t, f in rows]
    assert [(row["d"], row["t"], None if row["f"] is None else float(row["f"])) for row in read] == expected


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_csv_round_trips(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    write_csv(out, ["a,b", 'c"d'], rows)
    assert list(csv.reader(io.StringIO(out.getvalue(), newline=""))) == [["a,b", 'c"d'], *map(list, rows)]


def test_csv_distinguishes_null_from_an_empty_text() -> None:
    out = io.StringIO()
    write_csv(out, ["a", "b"], [(None, ""), (Decimal("1E+2"), [1, None])])
    assert out.getvalue() == 'a,b\n,""\n100,"[1, null]"\n'


def test_a_table_shows_the_first_1000_rows_and_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(["n", "t"], ["BIGINT", "VARCHAR"], ((i, "[red]x") for i in range(1_001)))
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 1_001
    assert "  9  [red]x\n" in output.out
    assert "only the first 1,000 rows are shown" in output.err


def test_an_instant_is_written_in_utc() -> None:
    assert instant(datetime(2026, 6, 1, 12, 0, tzinfo=UTC)) == "2026-06-01T12:00:00Z"
