"""The records of a landing file: each line (NDJSON) or row (CSV, Parquet) one value, headers `file` and `line` (R28).

Reading streams, and checks its limits before it builds a value; nothing here commits.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import IO

import pyarrow as pa

from pipelines.bronze.landing_csv import csv_values
from pipelines.bronze.landing_errors import FileChangedError, FileTroubleError, UnreadableFileError, trouble
from pipelines.bronze.landing_file import LandingFile
from pipelines.bronze.landing_limits import MAX_RATIO, MAX_RECORD_BYTES, MAX_UNPACKED_BYTES, UNPACKED_FREE
from pipelines.bronze.landing_parquet import parquet_values
from pipelines.contracts.fields import WHITE_SPACE
from pipelines.log.interface import RECORDS

LANDING_PARTITION = -1
FORMATS = (".ndjson", ".csv", ".parquet", ".ndjson.gz", ".csv.gz")
_CHUNK_ROWS, _CHUNK_BYTES = 50_000, 32 << 20
_BLANK = WHITE_SPACE.encode()


def records(file: LandingFile, first_offset: int, now: datetime) -> Iterator[pa.Table]:
    """The file's records (schema RECORDS) in pieces of bounded size; after the last the content is checked again.

    Raises UnreadableFileError, FileTroubleError and FileChangedError; then no piece may be committed.
    """
    piece: list[tuple[int, bytes]] = []
    size, offset = 0, first_offset
    for line, value in _values(file):
        piece.append((line, value))
        size += len(value)
        if len(piece) >= _CHUNK_ROWS or size >= _CHUNK_BYTES:
            yield _table(piece, file.name, offset, now)
            offset, size = offset + len(piece), 0
            piece = []
    file.check_content()
    if piece:
        yield _table(piece, file.name, offset, now)


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


def _values(file: LandingFile) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, value). Whatever reading raises is the file's fault, never that of the run."""
    name = file.name.lower()
    if not name.endswith(FORMATS):
        raise UnreadableFileError(f"expected a file named *{', *'.join(FORMATS)}, found {file.name}")
    try:
        with file.stream() as raw:
            if name.endswith(".parquet"):
                yield from parquet_values(raw, file.state.size)
                return
            with _plain(raw, name, file.state.size) as lines:
                if name.removesuffix(".gz").endswith(".csv"):
                    yield from csv_values(file.topic, lines, file.skip_lines)
                else:
                    yield from _ndjson(lines, file.skip_lines)
    except (UnreadableFileError, FileTroubleError, FileChangedError):
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFileError(f"expected gzip: {error}") from error
    except MemoryError as error:
        raise UnreadableFileError("there is not enough memory to read it") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"expected {error.encoding.upper()}: {error.reason} at byte {error.start}") from error
    except OSError as error:
        if error.errno is not None:
            raise trouble("read", error) from error
        raise UnreadableFileError(str(error)) from error  # pyarrow's, for damaged content
    except Exception as error:
        raise UnreadableFileError(f"{type(error).__name__}: {error}") from error


def _plain(raw: IO[bytes], name: str, size: int) -> AbstractContextManager[IO[bytes]]:
    return io.BufferedReader(_Unpacked(raw, size), 1 << 18) if name.endswith(".gz") else nullcontext(raw)


class _Unpacked(io.RawIOBase):
    """What a gzip file of `size` bytes holds, up to a limit that no honest file reaches."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._file = gzip.GzipFile(fileobj=raw)
        self._limit = min(max(UNPACKED_FREE, MAX_RATIO * size), MAX_UNPACKED_BYTES)
        self._size, self._count = size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Raises UnreadableFileError beyond the limit."""
        count = self._file.readinto(buffer)
        self._count += count
        if self._count > self._limit:
            raise UnreadableFileError(f"{self._size:,} bytes expand to more than {self._limit:,}")
        return count


def _ndjson(file: IO[bytes], skip_lines: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_RECORD_BYTES + 2):
        number += 1
        value = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1 and value.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UnreadableFileError("expected UTF-8, found the byte order mark of UTF-16")
        if len(value) > MAX_RECORD_BYTES:
            raise UnreadableFileError(f"line {number}: expected at most {MAX_RECORD_BYTES:,} bytes, found more")
        if number > skip_lines and value.strip(_BLANK):
            yield number, value
