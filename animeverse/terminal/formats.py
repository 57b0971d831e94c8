"""Writes a query result as JSON, CSV or a table (R46). Values are never rounded."""

import base64
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

from animeverse.services.query import Result
from pipelines.clock import instant

MAX_TABLE_ROWS = 1_000
_SPECIAL = re.compile('[",\\r\\n]')
_NUMBERS = ("BIGINT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER")


def print_result(result: Result, format_: str) -> None:
    """Print a query result on stdout, as `table`, `csv` or `json`."""
    if format_ == "json":
        write_json(sys.stdout, result.names, result.rows)
    elif format_ == "csv":
        write_csv(sys.stdout, result.names, result.rows)
    else:
        write_table(result.names, result.types, result.rows)


def _scalar(value: Any) -> Any:
    """Convert a value that is not a number, list or object to text, or None."""
    match value:
        case datetime():
            return instant(value)
        case date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case None | str():
            return value
        case _:
            return str(value)


def to_json(value: Any) -> str:
    """Return the JSON of a DuckDB value: decimals with all digits, NaN and infinity as null."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return format(value, "f")
        case float():
            return repr(value) if math.isfinite(value) else "null"
        case dict():
            return "{" + ", ".join(f"{_member(name)}: {to_json(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(to_json, value)) + "]"
        case _:
            return json.dumps(_scalar(value), ensure_ascii=False)


def _member(name: Any) -> str:
    text = _scalar(name)
    return json.dumps(text if isinstance(text, str) else to_json(name), ensure_ascii=False)


def to_text(value: Any) -> str:
    """Return the text of a cell in CSV or a table; null is empty."""
    match value:
        case None:
            return ""
        case bool() | dict() | list() | tuple():
            return to_json(value)
        case Decimal():
            return format(value, "f")
        case float():
            return repr(value)
        case _:
            return str(_scalar(value))


def unique(names: Sequence[str]) -> list[str]:
    """Return the names with `_1`, `_2` … appended to repeated ones, because members of a JSON object must differ."""
    used: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate in used:
            number += 1
            candidate = f"{name}_{number}"
        used.add(candidate)
        result.append(candidate)
    return result


def write_json(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write an array of objects, one per line; `[]` without rows."""
    heads = [json.dumps(name, ensure_ascii=False) for name in unique(names)]
    has_rows = False
    for row in rows:
        cells = ", ".join(f"{head}: {to_json(value)}" for head, value in zip(heads, row, strict=True))
        out.write((",\n " if has_rows else "[") + "{" + cells + "}")
        has_rows = True
    out.write("]\n" if has_rows else "[]\n")


def write_csv(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and the rows as RFC 4180 with LF line ends. An empty text is quoted, null is not."""
    out.write(",".join(map(_csv_cell, names)) + "\n")
    for row in rows:
        out.write(",".join("" if value is None else _csv_cell(to_text(value)) for value in row) + "\n")


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def write_table(names: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print the first 1,000 rows as a table on stdout; on stderr, say how to get all if there are more."""
    from animeverse.terminal import console

    first = list(islice(rows, MAX_TABLE_ROWS + 1))
    cells = [["NULL" if value is None else to_text(value) for value in row] for row in first[:MAX_TABLE_ROWS]]
    numbers = [index for index, kind in enumerate(types) if kind.startswith(_NUMBERS)]
    console.put(console.table(names, cells, right=numbers))
    if len(first) > MAX_TABLE_ROWS:
        console.say(f"only the first {console.count(MAX_TABLE_ROWS)} rows are shown: --format csv prints all")
