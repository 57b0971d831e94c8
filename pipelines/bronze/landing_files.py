"""Files dropped in `<home>/landing/<topic>/`: which are settled, what records they hold, where they go. Source: R28.

A file becomes records of partition -1: each line (NDJSON), row (CSV, Parquet) one value, headers `file` and `line`.
Reading streams; nothing here commits. What cannot be read at all raises UnreadableFileError.
"""

import csv
import gzip
import hashlib
import io
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
SETTLED_SECONDS = 2.0
FORMATS = (".ndjson", ".csv", ".parquet", ".ndjson.gz", ".csv.gz")
_UNFINISHED = (".tmp", ".part")
_CHUNK_ROWS, _CHUNK_BYTES = 50_000, 32 << 20
_MOST_CELL = 1 << 30  # characters; the csv module's own limit is 128 Ki
_MOST_NAME = 240  # bytes of a moved file's name: with `-2` or `.reason` it must stay below a file system's 255
_UTC_MICROS = pa.timestamp("us", "UTC")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BLANK = WHITE_SPACE.encode()


class UnreadableFileError(Exception):
    """The file as a whole cannot be read; the text says why, for the `.reason` beside it."""


class Landing:
    """The landing folder of a home. Remembers what it saw, to know when a file has settled."""

    def __init__(self, root: Path, now: Callable[[], float] = time.time) -> None:
        self.root = root
        self._now = now
        self._seen: dict[Path, tuple[int, int, float]] = {}

    def settled(self, topics: Sequence[str]) -> tuple[list[tuple[str, Path]], bool]:
        """(topic, path) of files whose size and mtime have not changed for 2 s, oldest first; are others settling?"""
        found: list[tuple[int, str, Path]] = []
        settling = False
        for topic in topics:
            folder = self.root / topic
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.name.startswith((".", "_")) or path.name.endswith(_UNFINISHED) or not path.is_file():
                    continue
                state, now = path.stat(), self._now()
                size, mtime, since = self._seen.get(path, (-1, -1, now))
                if (size, mtime) != (state.st_size, state.st_mtime_ns):
                    since = min(now, state.st_mtime) if state.st_mtime <= now else now
                    self._seen[path] = (state.st_size, state.st_mtime_ns, since)
                if now - since >= SETTLED_SECONDS:
                    found.append((state.st_mtime_ns, topic, path))
                else:
                    settling = True
        self._seen = {path: state for path, state in self._seen.items() if path.exists()}
        return [(topic, path) for _, topic, path in sorted(found)], settling

    def strays(self) -> list[str]:
        """What lies in the folder itself and belongs to no topic, so that nobody ever reads it."""
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        return [name for name in names if name not in CONTRACTS and not name.startswith((".", "_"))]

    def done(self, topic: str, path: Path) -> Path:
        """Move an ingested file out of the way; its new place."""
        return self._move(path, self.root / "_done" / topic)

    def rejected(self, topic: str, path: Path, reason: str) -> Path:
        """Move an unreadable file away, with a `.reason` beside it; its new place."""
        place = self._move(path, self.root / "_rejected" / topic)
        beside = place.with_name(place.name + ".reason")
        beside.write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
        return place

    def _move(self, path: Path, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        stem = os.fsdecode(os.fsencode(path.stem)[: _MOST_NAME - len(os.fsencode(path.suffix))])
        place, number = folder / f"{stem}{path.suffix}", 1
        while place.exists():
            number += 1
            place = folder / f"{stem}-{number}{path.suffix}"
        shutil.move(path, place)
        self._seen.pop(path, None)
        return place


def identity(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def records(topic: str, path: Path, first_offset: int, now: datetime) -> Iterator[pa.Table]:
    """The file's records (schema RECORDS) in pieces of bounded size. Raises UnreadableFileError."""
    piece: list[tuple[int, bytes]] = []
    size, offset = 0, first_offset
    for line, value in _values(topic, path):
        piece.append((line, value))
        size += len(value)
        if len(piece) >= _CHUNK_ROWS or size >= _CHUNK_BYTES:
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
    """(line number from 1, value)."""
    name = path.name.lower()
    if not name.endswith(FORMATS):
        raise UnreadableFileError(f"expected a file named *{', *'.join(FORMATS)}, found {path.name}")
    try:
        if name.endswith(".parquet"):
            yield from _parquet(path)
            return
        with path.open("rb") as raw, _plain(raw, name) as file:
            yield from _csv(topic, file) if ".csv" in name else _ndjson(file)
    except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{type(error).__name__}: {error}") from error


def _plain(raw: IO[bytes], name: str) -> Any:
    return gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else nullcontext(raw)


def _ndjson(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, 1):
        value = line.removesuffix(b"\n").removesuffix(b"\r")
        if value.strip(_BLANK):
            yield number, value


def _csv(topic: str, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    csv.field_size_limit(_MOST_CELL)
    # utf-8-sig: spreadsheets begin a CSV file with a byte order mark, which is no part of the first field's name
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
        return ",".join(cells)  # as good as it came: no JSON, so silver quarantines it with its line
    members = zip(names, cells, strict=True)
    return "{" + ",".join(f"{compact(n)}:{_cell(kinds.get(n, 'text'), cell)}" for n, cell in members if cell) + "}"


def _cell(kind: str, cell: str) -> str:
    """A cell as JSON text: a number, list or boolean where the contract wants one and it is one, else a string."""
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
        names = [compact(name) for name in file.schema_arrow.names]  # one may be there twice: silver says so
        for batch in file.iter_batches(batch_size=10_000):
            for cells in zip(*map(_cells, batch.columns), strict=True):
                number += 1
                members = ",".join(
                    f"{n}:{_json(cell)}" for n, cell in zip(names, cells, strict=True) if cell is not None
                )
                yield number, f"{{{members}}}".encode(errors="surrogateescape")


def _cells(column: pa.Array) -> list[Any]:
    """A column's values. One that Python cannot hold, say a day of the year 20000, is its text: silver judges it."""
    if pa.types.is_timestamp(column.type):
        if column.type.unit == "ns":
            column = pc.floor_temporal(column, unit="microsecond")  # R6: cut to µs
        # A time with a zone is an instant: the name of the zone, which may be one nobody knows, adds nothing.
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
