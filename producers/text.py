"""Build JSON text by column: lookup tables of strings, and row-wise concatenation of parts."""

import json
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import polars as pl

from producers.randomness import Ints

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # milliseconds, the unit of all generator times
_CENTS = 100_000  # amounts below 1000.00 are looked up in a table


def strings(values: Iterable[str]) -> pl.Series:
    """Return a text column to look strings up in."""
    return pl.Series(values=list(values), dtype=pl.String)


def quoted(values: Iterable[str]) -> pl.Series:
    """Return the values as JSON strings, including quotes."""
    return strings(json.dumps(value, ensure_ascii=False) for value in values)


def join(parts: Sequence[str | pl.Series], rows: int) -> pl.Series:
    """Concatenate the parts row by row. A plain string is repeated in every row."""
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
    """Return integers as text."""
    return pl.Series(values=numbers).cast(pl.String)


def ids(prefix: str, count: int, width: int) -> pl.Series:
    """Return `prefix` followed by 1, 2, ..., zero-padded to `width` digits."""
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
    """Return days since 1970 as YYYY-MM-DD."""
    if not len(days):
        return pl.Series(dtype=pl.String)
    first, last = int(days.min()), int(days.max())
    if last - first > 5_000:
        return pl.Series(values=days).cast(pl.Int32).cast(pl.Date).cast(pl.String)
    table = pl.Series(values=np.arange(first, last + 1)).cast(pl.Int32).cast(pl.Date).cast(pl.String)
    return table[days - first]


def clock(times: Ints) -> list[pl.Series]:
    """Return milliseconds since 1970 as the three parts of an RFC 3339 text in UTC: date, time, fraction and zone."""
    in_day = times % DAY
    return [dates(times // DAY), _seconds()[in_day // SECOND], _milliseconds()[in_day % SECOND]]


def money(cents: Ints) -> pl.Series:
    """Return cents as an amount with two decimals."""
    if not len(cents) or int(cents.max()) < _CENTS:
        return _money()[cents]
    tail = _money()[cents % 100].str.slice(1)
    return join([whole(cents // 100), tail], len(cents))
