"""Reading the records of a landing file: NDJSON, CSV or Parquet (R28).

Each line or row becomes a record of partition -1 with the headers `file` and `line`. Files are streamed, and nothing is
committed. A file that cannot be read as a whole raises UnreadableFileError.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts.fields import WHITE_SPACE
from pipelines.contracts.registry import CONTRACTS
from pipelines.log.interface import RECORDS
from pipelines.parsing.json_text import InvalidJsonError, compact, read

LANDING_PARTITION = -1
FORMATS = (".ndjson", ".csv", ".parquet", ".ndjson.gz", ".csv.gz")
CHUNK_ROWS, CHUNK_BYTES = 50_000, 32 << 20
_MAX_CELL_CHARACTERS = 1 << 30  # the csv module's default is 128 Ki
_UTC_MICROS = pa.timestamp("us", "UTC")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BLANK = WHITE_SPACE.encode()


class UnreadableFileError(Exception):
    """The file cannot be read. The text is the reason, for the `.reason` file."""


def records(topic: str, path: Path, first_offset: int, now: datetime) -> Iterator[pa.Table]:
    """The file's records, with the schema RECORDS, in tables of bounded size. Raises UnreadableFileError."""
    piece: list[tuple[int, bytes]] = []
    size, offset = 0, first_offset
    for line, value in _values(topic, path):
        piece.append((line, value))
        size += len(value)
        if len(piece) >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield _table(piece, path.name, offset, now)
            offset, size = offset + len(piece), 0
            piece = []
    if piece:
        yield _table(piece, path.name, offset, now)


def _table(piece: Sequence[tuple[int, bytes]], name: str, offset: int, now: datetime) -> pa.Table:
    count = len(piece)
    headers = [
        [{"key": "file", "value": name.encode(errors="surrogateescape")}, {"key": "line", "value": str(line).encode()}]
        for line, _ in piece
    ]
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(LANDING_PARTITION, pa.int32()), count),
            pa.array(range(offset, offset + count), pa.int64()),
            pa.repeat(pa.scalar(now, RECORDS.field("timestamp").type), count),
            pa.nulls(count, pa.binary()),
            pa.array(headers, RECORDS.field("headers").type),
            pa.array([value for _, value in piece], pa.binary()),
        ],
        schema=RECORDS,
    )


def _values(topic: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """Pairs of line number, from 1, and value."""
    name = path.name.lower()
    if not name.endswith(FORMATS):
        raise UnreadableFileError(f"expected a file named *{', *'.join(FORMATS)}, found {path.name}")
    try:
        if name.endswith(".parquet"):
            yield from _parquet(path)
            return
        with path.open("rb") as raw, _decompressed(raw, name) as file:
            yield from _csv(topic, file) if ".csv" in name else _ndjson(file)
    except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{type(error).__name__}: {error}") from error


def _decompressed(raw: IO[bytes], name: str) -> Any:
    return gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else nullcontext(raw)


def _ndjson(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, 1):
        value = line.removesuffix(b"\n").removesuffix(b"\r")
        if value.strip(_BLANK):
            yield number, value


def _csv(topic: str, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    # utf-8-sig removes the byte order mark that spreadsheets write before the first field's name.
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(text)
        names = next(rows, None)
        if not names or any(not name.strip() for name in names):
            raise UnreadableFileError("expected a header row that names the fields, found none or an empty name")
        if len(set(names)) != len(names):
            raise UnreadableFileError("the header row names a field twice")
        kinds = {field.name: field.kind for field in CONTRACTS[topic].fields}
        for cells in rows:
            if cells:
                yield rows.line_num, _csv_value(names, cells, kinds).encode(errors="surrogateescape")


def _csv_value(names: Sequence[str], cells: Sequence[str], kinds: Mapping[str, str]) -> str:
    if len(cells) != len(names):
        return ",".join(cells)  # not JSON, so silver quarantines it with its line number
    members = zip(names, cells, strict=True)
    return "{" + ",".join(f"{compact(n)}:{_cell(kinds.get(n, 'text'), cell)}" for n, cell in members if cell) + "}"


def _cell(kind: str, cell: str) -> str:
    """A cell as JSON text: a number, list or boolean if the contract expects one and the cell is one, else a string."""
    if kind in ("integer", "money") and _NUMBER.fullmatch(cell):
        return cell
    if kind == "boolean" and cell in ("true", "false"):
        return cell
    if kind in ("texts", "lines"):
        try:
            return compact(read(cell.encode()))
        except (InvalidJsonError, UnicodeEncodeError):
            return compact(cell)
    return compact(cell)


def _parquet(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    with pq.ParquetFile(path) as file:
        names = [compact(name) for name in file.schema_arrow.names]  # duplicate names are left for silver to reject
        for batch in file.iter_batches(batch_size=10_000):
            for cells in zip(*map(_cells, batch.columns), strict=True):
                number += 1
                members = ",".join(
                    f"{n}:{_json(cell)}" for n, cell in zip(names, cells, strict=True) if cell is not None
                )
                yield number, f"{{{members}}}".encode(errors="surrogateescape")


def _cells(column: pa.Array) -> list[Any]:
    """A column's values. A value that Python cannot represent, such as a day in the year 20000, becomes text."""
    if pa.types.is_timestamp(column.type):
        if column.type.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")  # R6: truncated to microseconds
        # A time with a zone is an instant. The zone's name is dropped, because it may be unknown to Python.
        column = column.cast(_UTC_MICROS if column.type.tz else pa.timestamp("us"), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_cell_alone(cell) for cell in column]


def _cell_alone(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        with suppress(AttributeError):  # only texts have as_buffer(), lists do not
            return cell.as_buffer().to_pybytes()
    except (ValueError, OverflowError):
        with suppress(AttributeError):
            return f"{cell.type} {cell.value}"
    return f"unreadable {cell.type}"


def _json(value: Any) -> str:
    """A Parquet value as JSON text: numbers with all their digits, times as RFC 3339."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
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
