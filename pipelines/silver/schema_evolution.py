"""Unknown fields: which get a column of their own under drift policy `evolve`, and which reject a record (R29).

An evolved column is text for all values, because a type inferred from a batch would depend on the batch. Names become
columns in bronze order, so the columns are a function of the log.
"""

import re
from collections.abc import Iterator, Sequence

import polars as pl

from pipelines.contracts.fields import EVOLVED_NAME, MAX_EVOLVED_COLUMNS
from pipelines.parsing.json_text import Json, compact, read
from pipelines.parsing.parse import Parsed

_NAME = re.compile(EVOLVED_NAME)
_MAX_SAMPLE = 200  # characters


def _unknown_fields(events: pl.DataFrame) -> Iterator[tuple[int, tuple[tuple[str, Json], ...]]]:
    """Index of each row with `_extra`, and the (name, value) pairs of that JSON object."""
    extras = events.with_row_index("_index").filter(pl.col("_extra").is_not_null()).select("_index", "_extra")
    for row, extra in extras.iter_rows():
        yield row, read(extra.encode())


def _text(value: Json) -> str | None:
    """The value as an evolved column holds it: strings as they are, JSON text for the rest, null for null."""
    return value if value is None or isinstance(value, str) else compact(value)


def evolve(
    accepted: pl.DataFrame, columns: Sequence[str], *, reserved: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """The rows with a text column for each evolved field, and the names of the new columns.

    `accepted` has `_extra` and is in bronze order. `columns` are the evolved columns so far. `reserved` names never
    become a column.
    """
    known, excluded = list(columns), set(reserved)
    values: dict[str, dict[int, str | None]] = {name: {} for name in known}
    if accepted["_extra"].null_count() == len(accepted):
        return accepted.with_columns(pl.lit(None, pl.String).alias(name) for name in columns), []
    for row, members in _unknown_fields(accepted):
        for name, value in members:
            if name not in values:
                if name in excluded or len(known) >= MAX_EVOLVED_COLUMNS or not _NAME.fullmatch(name):
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


def drifts(events: pl.DataFrame) -> dict[str, tuple[int, int, str]]:
    """Unknown field -> (number of rows with it, index of the first, sample value), over rows with `_extra`."""
    found: dict[str, tuple[int, int, str]] = {}
    for row, members in _unknown_fields(events):
        for name, value in members:
            rows, first, sample = found.get(name, (0, row, (_text(value) or "null")[:_MAX_SAMPLE]))
            found[name] = (rows + 1, first, sample)
    return found


def reject_unknown_fields(parsed: Parsed, note: str = "") -> Parsed:
    """Moves events with unknown fields to the rejects, with the reason `schema_drift` and `note` after the detail."""
    rejects = parsed.events.filter(pl.col("_extra").is_not_null()).select(
        "row",
        "event_id",
        reasons=pl.lit(["schema_drift"], dtype=pl.List(pl.String)),
        detail=pl.format(f"unknown fields: {{}}{note}", "_extra"),
    )
    if not len(rejects):
        return parsed
    known = parsed.events.filter(pl.col("_extra").is_null())
    return Parsed(known, pl.concat([parsed.rejects, rejects]).sort("row"))
