"""Publish a file: each line is one record, sent byte for byte (R45). Validation is the task of silver."""

import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson
import pyarrow as pa

from pipelines.contracts.registry import CONTRACTS
from pipelines.errors import UsageError
from pipelines.log.interface import EARLIEST_MICROS, LATEST_MICROS, OUTGOING, Log
from pipelines.parsing.json_text import InvalidJsonError
from pipelines.parsing.json_text import read as read_json
from producers.rate_limiter import RateLimiter

Timestamps = Literal["now", "event_time"]

_CHUNK_LINES, _CHUNK_BYTES = 20_000, 16 * 2**20
_READ_BYTES = 2**20
# RFC 3339 (R6); fractions of any length are truncated to microseconds.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d+))?(?:[Zz]|([+-](?:[01]\d|2[0-3]):[0-5]\d))",
    re.ASCII,
)


def publish_file(
    log: Log,
    topic: str,
    path: str | Path,
    *,
    rate: float | None = None,
    count: int | None = None,
    timestamps: Timestamps = "now",
    partition: int | None = None,
    progress: Callable[[int], None] = lambda _records: None,
    stop: Callable[[], bool] = lambda: False,
    limiter: RateLimiter | None = None,
) -> int:
    """Send the lines of a file (`-`: standard input) in order and return how many were acknowledged.

    The file may be larger than memory. A line ends with LF or CR LF, which is not sent; empty lines are skipped. The
    key is the contract's key field if the line is a JSON object that contains it as a string. With
    `timestamps="event_time"` the record's timestamp is the event time if that can be read and is between 1970 and 9999.
    Raises UsageError if the file cannot be read.
    """
    limiter = limiter or (RateLimiter(rate) if rate else None)
    sent = 0
    with _opened(path) as file:
        for lines in _chunks(file, count):
            if stop():
                break
            begin = 0
            while begin < len(lines) and not stop():
                end = len(lines) if limiter is None else min(begin + limiter.wait(stop), len(lines))
                if end > begin:
                    done = log.append(topic, records_of(topic, lines[begin:end], timestamps, partition))
                    sent += done
                    progress(done)
                begin = end
    return sent


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - `with` would also catch errors of sending
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file


def _chunks(file: BinaryIO, count: int | None) -> Iterator[list[bytes]]:
    """Yield lines in chunks. Does not wait for more lines of a slow pipe."""
    lines: list[bytes] = []
    size, taken = 0, 0
    for line in _lines(file):
        if line is None or taken == count:
            if lines:
                yield lines
                lines, size = [], 0
            if taken == count:
                return
            continue
        if line:
            lines.append(line)
            taken += 1
            size += len(line)
            if len(lines) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
                yield lines
                lines, size = [], 0
    if lines:
        yield lines


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield each line without its end; None when reading the next one would block."""
    begun: list[bytes] = []  # parts of a line that is longer than one read
    while block := file.read(_READ_BYTES) if not isinstance(file, BufferedReader) else file.read1(_READ_BYTES):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun).removesuffix(b"\r")
            for line in others[:-1]:
                yield line.removesuffix(b"\r")
            begun = [others[-1]]
        if len(block) < _READ_BYTES and not _is_ready(file):
            yield None
    yield b"".join(begun)


def _is_ready(file: BinaryIO) -> bool:
    """Return whether a read would return at once."""
    try:
        return bool(select.select([file], [], [], 0)[0])
    except (OSError, ValueError):  # not a file of the operating system
        return True


def records_of(
    topic: str, values: list[bytes], timestamps: Timestamps = "now", partition: int | None = None
) -> pa.Table:
    """Return the values as records, with the key and optionally the timestamp read from each value."""
    key_field = CONTRACTS[topic].key_field
    keys: list[bytes | None] = []
    moments: list[int | None] = []
    for value in values:
        event = _object(value)
        key = event.get(key_field)
        keys.append(key.encode() if isinstance(key, str) else None)
        moments.append(_microseconds(event.get("event_time")) if timestamps == "event_time" else None)
    columns = [
        pa.array([partition] * len(values), pa.int32()),
        pa.array(moments, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.array(keys, pa.binary()),
        pa.nulls(len(values), OUTGOING.field("headers").type),
        pa.array(values, pa.binary()),
    ]
    return pa.Table.from_arrays(columns, schema=OUTGOING)


def _object(value: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(value)
    except ValueError:
        return _exact_object(value)
    return event if isinstance(event, dict) else {}


def _exact_object(value: bytes) -> dict[str, Any]:
    """Read as silver does: orjson rejects 1e400, which is a valid number."""
    try:
        event = read_json(value)
    except InvalidJsonError:
        return {}
    return dict(event) if isinstance(event, tuple) else {}


def _microseconds(text: object) -> int | None:
    """Return microseconds since 1970; None if it is not a time that a log can store."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset or '+00:00'}")
    except ValueError:
        return None
    seconds = moment.timestamp()
    micros = int(seconds) * 1_000_000 + int(((fraction or "") + "000000")[:6])
    return micros if EARLIEST_MICROS <= micros <= LATEST_MICROS else None
