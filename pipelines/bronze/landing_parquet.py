"""The rows of a Parquet landing file as JSON text, decoded in pieces of bounded size (R28)."""

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.bronze.landing_errors import UnreadableFileError
from pipelines.bronze.landing_limits import (
    DECODED_BYTES,
    MAX_PARQUET_TEXT_RATIO,
    MAX_RATIO,
    MAX_RECORD_BYTES,
    MAX_ROW_GROUP_BYTES,
    PARQUET_TEXT_FREE,
    UNPACKED_FREE,
)
from pipelines.parsing.json_text import compact

_MOST_ROWS = 10_000  # decoded at a time
_UTC_MICROS = pa.timestamp("us", "UTC")


def parquet_values(file: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """(row number from 1, value) of a file of `size` bytes. Raises UnreadableFileError, and what pyarrow raises."""
    number = text = 0
    free = max(PARQUET_TEXT_FREE, MAX_PARQUET_TEXT_RATIO * size)
    metadata = pq.read_metadata(file)
    file.seek(0)
    _check_row_groups(metadata)
    texts = _plain_texts(metadata)
    # As dictionaries: a repeated text is held once, however often a row names it.
    with pq.ParquetFile(file, metadata=metadata, read_dictionary=texts, pre_buffer=False) as parquet:
        names = [compact(name) for name in parquet.schema_arrow.names]  # one may be there twice: silver says so
        for batch in parquet.iter_batches(batch_size=_batch_rows(metadata, texts), use_threads=False):
            for piece in _pieces(batch, number):
                for cells in zip(*map(_cells, piece.columns), strict=True):
                    number += 1
                    value = _row(names, cells)
                    if len(value) > MAX_RECORD_BYTES:
                        raise _too_large(number)
                    text += len(value)
                    if text > free:
                        raise UnreadableFileError(f"expected at most {free:,} bytes in all rows, found more")
                    yield number, value


def _check_row_groups(metadata: pq.FileMetaData) -> None:
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        unpacked = max(group.total_byte_size, sum(column.total_uncompressed_size for column in columns))
        packed = sum(column.total_compressed_size for column in columns)
        if unpacked > MAX_ROW_GROUP_BYTES:
            limit = f"{MAX_ROW_GROUP_BYTES:,}"
            raise UnreadableFileError(f"row group {index}: expected at most {limit} bytes, found {unpacked:,}")
        if unpacked > max(UNPACKED_FREE, MAX_RATIO * packed):
            raise UnreadableFileError(f"row group {index}: {packed:,} bytes expand to {unpacked:,}")
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index)
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY" and column.length > MAX_RECORD_BYTES:
            raise UnreadableFileError(f"column {column.path}: expected values of at most {MAX_RECORD_BYTES:,} bytes")


def _plain_texts(metadata: pq.FileMetaData) -> list[str]:
    """The columns of texts or bytes that are no part of a list or struct."""
    schema = metadata.schema.to_arrow_schema()
    kinds = {field.name: field.type for field in schema}
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    return [of.path for of in columns if of.path == of.name and of.name in kinds and _is_bytes(kinds[of.name])]


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_binary))


def _batch_rows(metadata: pq.FileMetaData, texts: list[str]) -> int:
    """Rows to decode at a time: few where a nested text may repeat often in a row, which no other limit bounds."""
    rows = _MOST_ROWS
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        width = 16 * metadata.num_columns
        for number in range(group.num_columns):
            column, schema = group.column(number), metadata.schema.column(number)
            each = math.ceil(column.num_values / max(1, group.num_rows))
            if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
                width += each * schema.length
            elif column.physical_type == "BYTE_ARRAY" and schema.path not in texts:
                width += each * min(column.total_uncompressed_size, MAX_RECORD_BYTES)
        rows = min(rows, DECODED_BYTES // max(1, width))
    return max(1, rows)


def _pieces(batch: pa.RecordBatch, before: int) -> Iterator[pa.RecordBatch]:
    """The batch in slices that are small when decoded. Raises UnreadableFileError for a row that is too large."""
    sizes = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_bytes(column.type.value_type):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            sizes += np.asarray(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    if sizes.max(initial=0) > MAX_RECORD_BYTES:
        raise _too_large(before + int(np.argmax(sizes > MAX_RECORD_BYTES)) + 1)
    start, ends = 0, np.cumsum(sizes)
    while start < batch.num_rows:
        done = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + DECODED_BYTES, side="right")))
        yield batch.slice(start, end - start)
        start = end


def _too_large(row: int) -> UnreadableFileError:
    return UnreadableFileError(f"row {row}: expected at most {MAX_RECORD_BYTES:,} bytes, found more")


def _row(names: list[str], cells: tuple[Any, ...]) -> bytes:
    members = ",".join(f"{n}:{_json(cell)}" for n, cell in zip(names, cells, strict=True) if cell is not None)
    return f"{{{members}}}".encode(errors="surrogateescape")


def _cells(column: pa.Array) -> list[Any]:
    """A column's values. One that Python cannot hold, say a day of the year 20000, is its text: silver judges it."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        if column.type.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")  # R6: cut to µs
        # A time with a zone is an instant: the name of the zone, which may be unknown here, adds nothing.
        column = column.cast(_UTC_MICROS if column.type.tz else pa.timestamp("us"), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_cell_alone(cell) for cell in column]


def _cell_alone(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        with suppress(AttributeError):  # of a text itself, not of one within a list
            return cell.as_buffer().to_pybytes()
    except (ValueError, OverflowError):
        with suppress(AttributeError):
            return f"{cell.type} {cell.value}"
    return f"unreadable {cell.type}"


def _json(value: Any) -> str:
    """A Parquet value as JSON text; money and counts as they are, times as RFC 3339."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int | float):
        # JSON has no NaN and no infinity: as a string, the field that it is in is at fault, not the whole record.
        return repr(value) if isinstance(value, int) or math.isfinite(value) else compact(str(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return compact(value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat())
    if isinstance(value, date):
        return compact(value.isoformat())
    if isinstance(value, bytes):
        return compact(value.decode(errors="surrogateescape"))
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(str(name))}:{_json(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(item) for item in value) + "]"
    return compact(str(value))
