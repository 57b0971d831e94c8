"""A query's result as JSON, CSV or a table (R46). Rows come as Python values; nothing is rounded on the way."""

import base64
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any, TextIO

from pipelines.clock import instant

MAX_TABLE_ROWS = 1_000
_SPECIAL = re.compile('[",\\r\\n]')
_NUMBERS = ("BIGINT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER")


def _plain(value: Any) -> Any:
    """What is no number, list or object, as JSON and CSV write it."""
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
    """JSON of any value DuckDB gives: decimals with all their digits, what is no number as null."""
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
            return "{" + ", ".join(f"{_member(name)}: {to_json(one)}" for name, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(to_json, value)) + "]"
        case _:
            return json.dumps(_plain(value), ensure_ascii=False)


def _member(name: Any) -> str:
    text = _plain(name)
    return json.dumps(text if isinstance(text, str) else to_json(name), ensure_ascii=False)


def to_text(value: Any) -> str:
    """One cell of CSV or of a table; null is empty."""
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
            return str(_plain(value))


def unique(names: Sequence[str]) -> list[str]:
    """The names, with `_1`, `_2` … behind those that were there before: members of an object must differ."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        result.append(candidate)
    return result


def write_json(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """An array of objects, one a line; `[]` when there are none."""
    heads = [json.dumps(name, ensure_ascii=False) for name in unique(names)]
    began = False
    for row in rows:
        cells = ", ".join(f"{head}: {to_json(value)}" for head, value in zip(heads, row, strict=True))
        out.write((",\n " if began else "[") + "{" + cells + "}")
        began = True
    out.write("]\n" if began else "[]\n")


def write_csv(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A header and the rows, RFC 4180 but for line ends of one LF. An empty text is quoted, null is not."""
    out.write(",".join(map(_csv_cell, names)) + "\n")
    for row in rows:
        out.write(",".join("" if value is None else _csv_cell(to_text(value)) for value in row) + "\n")


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def write_table(names: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The first rows as a table on stdout, and on stderr how to see all where there are more."""
    from animeverse.terminal import console

    shown = list(islice(rows, MAX_TABLE_ROWS + 1))
    cells = [["NULL" if value is None else to_text(value) for value in row] for row in shown[:MAX_TABLE_ROWS]]
    numbers = [index for index, kind in enumerate(types) if kind.startswith(_NUMBERS)]
    console.put(console.table(names, cells, right=numbers))
    if len(shown) > MAX_TABLE_ROWS:
        console.say(f"only the first {console.count(MAX_TABLE_ROWS)} rows are shown: --format csv has them all")
