"""Reads the values of one topic as typed events or rejects with reasons (R1-R13), by two paths.

The fast path reads values in bulk that match a known layout. The exact path reads all other values one by one. Both
give the same rows; the path that a value takes affects the time alone.
"""

import logging
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.contracts.registry import Contract
from pipelines.parsing.columns import EventColumns
from pipelines.parsing.exact_path import ExactReader, Rejected
from pipelines.parsing.fast_path import parse_fast
from pipelines.parsing.layouts import Layouts
from pipelines.parsing.values import ParseRules

__all__ = ["Layouts", "ParseRules", "Parsed", "parse"]

_FEW = 400  # values below which to set up the fast path costs more than it saves
_CHUNK = 4096  # values held as Python objects at a time
_REJECTS = pl.Schema(
    {"row": pl.UInt32(), "event_id": pl.String(), "reasons": pl.List(pl.String()), "detail": pl.String()}
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Every input record is in exactly one of the two frames. Both are in input order.

    `events`: row (index into the input), the contract's columns as silver types them (lines as list of struct), _extra
    (JSON text of the members that the contract does not have, or null) and money_rounded.
    `rejects`: row, event_id (where readable), reasons (sorted, distinct), detail (text for people).
    """

    events: pl.DataFrame
    rejects: pl.DataFrame


def parse(contract: Contract, values: pa.Array, rules: ParseRules, layouts: Layouts) -> Parsed:
    """Read values (binary, may be null) of one topic. Several threads may call it and share `layouts`."""
    fast = None if len(values) < _FEW else _parse_fast(contract, values, rules, layouts)
    rows = pl.Series(range(len(values)), dtype=pl.UInt32)
    if fast is not None:
        rows = rows.filter(~pl.repeat(False, len(values), eager=True).scatter(fast["row"], True))
    exact = parse_exactly(contract, values, rows, rules)
    if fast is None or not fast.height:
        return exact
    events = pl.concat([fast, exact.events]).sort("row") if exact.events.height else fast
    return Parsed(events, exact.rejects)


def parse_exactly(contract: Contract, values: pa.Array, rows: pl.Series, rules: ParseRules) -> Parsed:
    """Read the values at these indexes, which rise, by the exact path alone."""
    reader = ExactReader(contract, rules)
    events = EventColumns(contract)
    rejected: list[tuple[int, Rejected]] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        for row, value in zip(chunk.to_list(), values.take(chunk.to_arrow()).to_pylist(), strict=True):
            outcome = reader.read(value)
            if isinstance(outcome, Rejected):
                rejected.append((row, outcome))
            else:
                events.add(row, outcome)
    rejects = [(row, reject.event_id, list(reject.reasons), reject.detail) for row, reject in rejected]
    return Parsed(events.frame(), pl.DataFrame(rejects, schema=_REJECTS, orient="row"))


def _parse_fast(contract: Contract, values: pa.Array, rules: ParseRules, layouts: Layouts) -> pl.DataFrame | None:
    """The events that the fast path reads; None where a library fails, and then the exact path reads all values."""
    try:
        return parse_fast(contract, _texts(values), rules, layouts)
    except (duckdb.Error, pl.exceptions.PolarsError, pa.ArrowException):
        _log.warning("%s: the fast path failed, reading %d values exactly", contract.topic, len(values), exc_info=True)
        return None


def _texts(values: pa.Array) -> pl.DataFrame:
    """The values that are valid UTF-8, as text: row, value. Values are checked one by one only if a cast fails."""
    texts = pl.DataFrame({"row": pl.arange(len(values), dtype=pl.UInt32, eager=True), "value": pl.Series(values)})
    try:
        return texts.with_columns(pl.col("value").cast(pl.String))
    except pl.exceptions.ComputeError:
        starts = range(0, len(values), _CHUNK)
        is_text = [_is_text(value) for start in starts for value in values[start : start + _CHUNK].to_pylist()]
        return texts.filter(pl.Series(is_text)).with_columns(pl.col("value").cast(pl.String))


def _is_text(value: bytes | None) -> bool:
    try:
        return value is not None and value.decode() is not None
    except UnicodeDecodeError:
        return False
