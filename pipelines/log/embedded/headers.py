"""Record headers as one value of bytes, for logs that keep records in cells. No headers at all is no bytes at all.

Each header is: length of the name, name in UTF-8, length of the value or -1 for null, value; lengths are signed 32 bit,
little-endian. Order and repeated names are kept.
"""

import struct
from typing import Any

import pyarrow as pa

from pipelines.log.interface import HEADERS

_LENGTH = struct.Struct("<i")


def encode(headers: pa.Array) -> pa.Array:
    """Binary, null where a record has no headers."""
    if headers.null_count == len(headers):
        return pa.nulls(len(headers), pa.binary())
    return pa.array([_pack(row) for row in headers.to_pylist()], pa.binary())


def decode(cells: pa.Array) -> pa.Array:
    """What `encode` was given; an empty or null cell is a record without headers: null."""
    return pa.array([_unpack(cell) if cell else None for cell in cells.to_pylist()], HEADERS)


def _pack(headers: list[dict[str, Any]] | None) -> bytes | None:
    if not headers:
        return None
    parts = []
    for header in headers:
        name, value = header["key"].encode(), header["value"]
        parts += [_LENGTH.pack(len(name)), name]
        parts += [_LENGTH.pack(-1)] if value is None else [_LENGTH.pack(len(value)), value]
    return b"".join(parts)


def _unpack(cell: bytes) -> list[tuple[str, bytes | None]]:
    headers: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(cell):
        (length,) = _LENGTH.unpack_from(cell, at)
        at += _LENGTH.size + length
        name = cell[at - length : at].decode()
        (length,) = _LENGTH.unpack_from(cell, at)
        at += _LENGTH.size
        if length < 0:
            headers.append((name, None))
        else:
            headers.append((name, cell[at : at + length]))
            at += length
    return headers
