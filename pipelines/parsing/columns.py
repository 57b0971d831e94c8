"""Builds the event frame from rows of the exact path. Both paths return frames of the same schema."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import Contract
from pipelines.contracts.tables import MONEY, arrow_type, event_fields
from pipelines.parsing.exact_path import Row

_CHUNK = 256  # rows converted to columns at a time; more rows live longer and slow the garbage collector


def events_schema(contract: Contract) -> pa.Schema:
    """Columns of `Parsed.events`: row, the contract's fields, _extra, money_rounded."""
    fields = [pa.field(field.name, field.type) for field in event_fields(contract)]
    tail = [pa.field("_extra", pa.string()), pa.field("money_rounded", pa.bool_())]
    return pa.schema([pa.field("row", pa.uint32()), *fields, *tail])


class EventColumns:
    """Collects rows of the exact path, in order."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._numbers: list[int] = []
        self._rows: list[Row] = []
        self._cells: list[list[Any]] = [[] for _ in range(len(contract.fields) + 2)]
        self._lines = next((i for i, field in enumerate(contract.fields) if field.kind == "lines"), None)
        self._line_cells: list[list[Any]] = []
        if self._lines is not None:
            self._line_cells = [[] for _ in contract.fields[self._lines].lines]

    def add(self, number: int, row: Row) -> None:
        """Append an event; `number` is its index in the input."""
        self._numbers.append(number)
        self._rows.append(row)
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if self._lines is not None:
            lines = [line for row in rows for line in row[self._lines]]
            for row in rows:
                row[self._lines] = len(row[self._lines])
            _extend(self._line_cells, lines)
        _extend(self._cells, rows)

    def frame(self) -> pl.DataFrame:
        """All rows, with the columns of events_schema."""
        self._flush()
        fields = self._contract.fields
        arrays = [pa.array(self._numbers, pa.uint32())]
        arrays += [self._array(field, cells) for field, cells in zip(fields, self._cells, strict=False)]
        arrays += [pa.array(self._cells[-2], pa.string()), pa.array(self._cells[-1], pa.bool_())]
        return frame(pa.table(arrays, schema=events_schema(self._contract)))

    def _array(self, field: Field, cells: list[Any]) -> pa.Array:
        if field.kind != "lines":
            return _array(field, cells)
        offsets = [0]
        for count in cells:
            offsets.append(offsets[-1] + count)
        parts = [_array(line, values) for line, values in zip(field.lines, self._line_cells, strict=True)]
        struct = pa.StructArray.from_arrays(parts, fields=list(arrow_type(field).value_type))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), struct, type=arrow_type(field))


def _extend(columns: list[list[Any]], rows: Sequence[Row]) -> None:
    for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
        column.extend(cells)


def _array(field: Field, cells: list[Any]) -> pa.Array:
    if field.kind != "money":
        return pa.array(cells, arrow_type(field))
    wide = pa.array(cells, pa.int64()).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(MONEY, len(wide), wide.buffers())  # the same integers as 1/10000


def frame(table: pa.Table) -> pl.DataFrame:
    """A table as a Polars frame."""
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found
