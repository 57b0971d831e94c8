"""JSON text by the column: tables of ready strings to gather from, and one concatenation a row of parts."""

import json
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import polars as pl

from producers.randomness import Ints

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # in milliseconds, the world's unit of time
_CENTS = 100_000  # amounts below 1000.00 come from a table


def strings(values: Iterable[str]) -> pl.Series:
    """A column of text to gather from."""
    return pl.Series(values=list(values), dtype=pl.String)


def quoted(values: Iterable[str]) -> pl.Series:
    """The same as JSON strings, quotes included."""
    return strings(json.dumps(value, ensure_ascii=False) for value in values)


def join(parts: Sequence[str | pl.Series], rows: int) -> pl.Series:
    """Row by row, all parts one after the other; a plain string stands in every row."""
    if rows == 0:
        return pl.Series(dtype=pl.String)
    merged: list[str | pl.Series] = []
    for part in parts:
        if merged and isinstance(part, str) and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    columns = [pl.lit(part) for part in merged]
    text = pl.select(pl.concat_str(columns)).to_series()
    return text if len(text) == rows else text.new_from_index(0, rows)


def whole(numbers: Ints) -> pl.Series:
    """Whole numbers as text."""
    return pl.Series(values=numbers).cast(pl.String)


def ids(prefix: str, count: int, width: int) -> pl.Series:
    """`prefix` and a running number from 1, zeros in front."""
    return strings(f"{prefix}{number:0{width}d}" for number in range(1, count + 1))


@cache
def _seconds() -> pl.Series:
    at = np.arange(86_400)
    two = strings(f"{number:02d}" for number in range(60))
    return join(["T", two[at // 3_600], ":", two[at // 60 % 60], ":", two[at % 60]], len(at))


@cache
def _milliseconds() -> pl.Series:
    return strings(f".{at:03d}Z" for at in range(1_000))


@cache
def _money() -> pl.Series:
    cents = np.arange(_CENTS)
    return join([whole(cents // 100), strings(f".{number:02d}" for number in range(100))[cents % 100]], _CENTS)


def dates(days: Ints) -> pl.Series:
    """Days since 1970 as YYYY-MM-DD."""
    if not len(days):
        return pl.Series(dtype=pl.String)
    first, last = int(days.min()), int(days.max())
    if last - first > 5_000:
        return pl.Series(values=days).cast(pl.Int32).cast(pl.Date).cast(pl.String)
    table = pl.Series(values=np.arange(first, last + 1)).cast(pl.Int32).cast(pl.Date).cast(pl.String)
    return table[days - first]


def clock(times: Ints) -> list[pl.Series]:
    """Milliseconds since 1970 as the three parts of an RFC 3339 text in UTC."""
    in_day = times % DAY
    return [dates(times // DAY), _seconds()[in_day // SECOND], _milliseconds()[in_day % SECOND]]


def money(cents: Ints) -> pl.Series:
    """Cents as an amount with two decimals."""
    if not len(cents) or int(cents.max()) < _CENTS:
        return _money()[cents]
    tail = _money()[cents % 100].str.slice(1)
    return join([whole(cents // 100), tail], len(cents))
