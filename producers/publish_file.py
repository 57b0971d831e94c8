"""Events of your own: each line of a file is one record, sent as it is. Refusing is silver's job (R45)."""

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
# RFC 3339 (R6); a fraction of any length is cut to microseconds.
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
    pace: RateLimiter | None = None,
) -> int:
    """Send the lines of a file (`-`: standard input) in order; how many went. The file may be larger than memory.

    A line ends with LF or CR LF, which is not sent; empty lines are skipped. The key is the contract's key field where
    a line is a JSON object that has it as a string. `timestamps="event_time"` records each event at its own time where
    that can be read and lies after 1970 and before 10000. Every record counted is durable. Raises UsageError when
    there is no such file.
    """
    pace = pace or (RateLimiter(rate) if rate else None)
    sent = 0
    with _opened(path) as file:
        for lines in _chunks(file, count):
            if stop():
                break
            begin = 0
            while begin < len(lines) and not stop():
                end = len(lines) if pace is None else min(begin + pace.wait(stop), len(lines))
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
        file = Path(path).open("rb")  # noqa: SIM115 - an error while sending is none of opening
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file


def _chunks(file: BinaryIO, count: int | None) -> Iterator[list[bytes]]:
    """Lines as they come, many at a time; what a slow pipe holds back is not waited for."""
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
    """Each line without its end; None where the next one is not there yet."""
    begun: list[bytes] = []  # of a line that is longer than one read
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
    """Whether a read would return at once."""
    try:
        return bool(select.select([file], [], [], 0)[0])
    except (OSError, ValueError):  # no file of the operating system
        return True


def records_of(
    topic: str, values: list[bytes], timestamps: Timestamps = "now", partition: int | None = None
) -> pa.Table:
    """The values as records to send: key and, if asked for, timestamp read from each where they can be."""
    key_field = CONTRACTS[topic].key_field
    keys: list[bytes | None] = []
    moments: list[int | None] = []
    for value in values:
        event = _object(value)
        key = event.get(key_field)
        keys.append(key.encode() if isinstance(key, str) else None)
        moments.append(_moment(event.get("event_time")) if timestamps == "event_time" else None)
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
    """As silver reads it: 1e400 is a number there, and none to the fast reader."""
    try:
        event = read_json(value)
    except InvalidJsonError:
        return {}
    return dict(event) if isinstance(event, tuple) else {}


def _moment(text: object) -> int | None:
    """Microseconds since 1970; None where it is no time that a log holds."""
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
