"""Unknown fields under drift policy `evolve`: which get a column of their own, and its text. Source: R29.

A column is text whatever the values are, since a type guessed from a batch would depend on the batch. Names are
admitted in bronze order, so the columns are a function of the log.
"""

import re
from collections.abc import Sequence

import polars as pl

from pipelines.contracts.fields import EVOLVED_NAME, MAX_EVOLVED_COLUMNS
from pipelines.parsing.json_text import Json, compact, read

_NAME = re.compile(EVOLVED_NAME)


def _members(extra: str) -> tuple[tuple[str, Json], ...]:
    found: tuple[tuple[str, Json], ...] = read(extra.encode())
    return found


def _text(value: Json) -> str | None:
    """A member's value as its column holds it: plain for strings, JSON text for all else, null for null."""
    return value if value is None or isinstance(value, str) else compact(value)


def evolve(
    accepted: pl.DataFrame, columns: Sequence[str], *, reserved: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """The rows with a text column for each evolved field, and the names of those that are new.

    `accepted` has `_extra` and is in bronze order; `columns` are the evolved columns so far; `reserved` names (the
    contract's own) never become one.
    """
    extras = accepted.with_row_index("_index").filter(pl.col("_extra").is_not_null()).select("_index", "_extra")
    if not len(extras):
        return accepted.with_columns(pl.lit(None, pl.String).alias(name) for name in columns), []
    known, taken = list(columns), set(reserved)
    values: dict[str, dict[int, str | None]] = {name: {} for name in known}
    for row, extra in extras.iter_rows():
        for name, value in _members(extra):
            if name not in values:
                if name in taken or len(known) >= MAX_EVOLVED_COLUMNS or not _NAME.fullmatch(name):
                    continue
                known.append(name)
                values[name] = {}
            values[name][row] = _text(value)
    count = len(accepted)
    filled = [
        pl.Series(name, [found.get(row) for row in range(count)], dtype=pl.String)
        if found
        else pl.Series(name, [None], dtype=pl.String).new_from_index(0, count)
        for name, found in values.items()
    ]
    return accepted.with_columns(filled), known[len(columns) :]


def drifts(accepted: pl.DataFrame) -> dict[str, tuple[int, int, str]]:
    """Unknown field -> (rows that carry it, index of the first, sample), over rows with `_extra`."""
    found: dict[str, tuple[int, int, str]] = {}
    extras = accepted.with_row_index("_index").filter(pl.col("_extra").is_not_null()).select("_index", "_extra")
    for row, extra in extras.iter_rows():
        for name, value in _members(extra):
            rows, first, sample = found.get(name, (0, row, (_text(value) or "null")[:200]))
            found[name] = (rows + 1, first, sample)
    return found
