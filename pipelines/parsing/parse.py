"""Values of one topic in, typed events and reasons out: the parse and contract stages (R1-R13), by two roads.

Nearly all values are plain: fast_path proves it and reads them in bulk. All others go through exact_path, one
by one. Both roads give the same rows; which one a value took shows nowhere but in the time it needed.
"""

import logging
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa

from pipelines.contracts.registry import Contract
from pipelines.parsing.columns import EventColumns
from pipelines.parsing.exact_path import ExactReader, Rejected
from pipelines.parsing.fast_path import read_plain
from pipelines.parsing.layouts import Layouts
from pipelines.parsing.values import ParseRules

__all__ = ["Layouts", "ParseRules", "Parsed", "parse"]

_FEW = 400  # values below which setting up the fast road costs more than it saves
_CHUNK = 4096  # values held as Python objects at a time
_REJECTS = pl.Schema(
    {"row": pl.UInt32(), "event_id": pl.String(), "reasons": pl.List(pl.String()), "detail": pl.String()}
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Every input record is in exactly one of the two frames. Both are in input order.

    `events`: row (index into the input), the contract's columns as silver types them (`items` as list of struct),
    _extra (JSON text of the members that the contract does not know, or null) and money_rounded.
    `rejects`: row, event_id (where readable), reasons (sorted, distinct), detail (for a person).
    """

    events: pl.DataFrame
    rejects: pl.DataFrame


def parse(contract: Contract, values: pa.Array, rules: ParseRules, layouts: Layouts) -> Parsed:
    """Read values (binary, may be null) of one topic. May be called from several threads, which may share layouts."""
    plain = None if len(values) < _FEW else _read_plain(contract, values, rules, layouts)
    left = pl.Series(range(len(values)), dtype=pl.UInt32)
    if plain is not None:
        taken = pl.repeat(False, len(values), eager=True).scatter(plain["row"], True)
        left = left.filter(~taken)
    odd = parse_exactly(contract, values, left, rules)
    if plain is None or not plain.height:
        return odd
    events = pl.concat([plain, odd.events]).sort("row") if odd.events.height else plain
    return Parsed(events, odd.rejects)


def parse_exactly(contract: Contract, values: pa.Array, rows: pl.Series, rules: ParseRules) -> Parsed:
    """Read the values at these rows (rising) by the exact road alone."""
    reader = ExactReader(contract, rules)
    events = EventColumns(contract)
    rejected: list[tuple[int, Rejected]] = []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        for row, value in zip(part.to_list(), values.take(part.to_arrow()).to_pylist(), strict=True):
            outcome = reader.read(value)
            if isinstance(outcome, Rejected):
                rejected.append((row, outcome))
            else:
                events.add(row, outcome)
    rejects = [(row, reject.event_id, list(reject.reasons), reject.detail) for row, reject in rejected]
    return Parsed(events.frame(), pl.DataFrame(rejects, schema=_REJECTS, orient="row"))


def _read_plain(contract: Contract, values: pa.Array, rules: ParseRules, layouts: Layouts) -> pl.DataFrame | None:
    """What the fast road takes; None where a library of its refuses, which costs time and no record."""
    try:
        return read_plain(contract, _texts(values), rules, layouts)
    except (duckdb.Error, pl.exceptions.PolarsError, pa.ArrowException):
        _log.warning("%s: the fast road failed, reading %d values exactly", contract.topic, len(values), exc_info=True)
        return None


def _texts(values: pa.Array) -> pl.DataFrame:
    """The values that are UTF-8, as text: row, value. A cast stops at the first that is none; then look for them."""
    texts = pl.DataFrame({"row": pl.arange(len(values), dtype=pl.UInt32, eager=True), "value": pl.Series(values)})
    try:
        return texts.with_columns(pl.col("value").cast(pl.String))
    except pl.exceptions.ComputeError:
        starts = range(0, len(values), _CHUNK)
        sound = [_is_text(value) for start in starts for value in values[start : start + _CHUNK].to_pylist()]
        return texts.filter(pl.Series(sound)).with_columns(pl.col("value").cast(pl.String))


def _is_text(value: bytes | None) -> bool:
    try:
        return value is not None and value.decode() is not None
    except UnicodeDecodeError:
        return False
