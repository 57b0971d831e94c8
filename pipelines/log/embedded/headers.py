"""Encodes the headers of a record as one binary value, and decodes them. No headers are encoded as null.

Each header is: length of the name, name in UTF-8, length of the value or -1 for null, value; lengths are signed 32 bit,
little-endian. Order and repeated names are kept.
"""

import struct
from typing import Any

import pyarrow as pa

from pipelines.log.interface import HEADERS

_LENGTH = struct.Struct("<i")


def encode(headers: pa.Array) -> pa.Array:
    """Return the encoded headers of each record (binary), null for a record without headers."""
    if headers.null_count == len(headers):
        return pa.nulls(len(headers), pa.binary())
    return pa.array([_pack(row) for row in headers.to_pylist()], pa.binary())


def decode(values: pa.Array) -> pa.Array:
    """Return the headers of each encoded value (type HEADERS), null for an empty or null value."""
    return pa.array([_unpack(value) if value else None for value in values.to_pylist()], HEADERS)


def _pack(headers: list[dict[str, Any]] | None) -> bytes | None:
    if not headers:
        return None
    parts = []
    for header in headers:
        name, value = header["key"].encode(), header["value"]
        parts += [_LENGTH.pack(len(name)), name]
        parts += [_LENGTH.pack(-1)] if value is None else [_LENGTH.pack(len(value)), value]
    return b"".join(parts)


def _unpack(encoded: bytes) -> list[tuple[str, bytes | None]]:
    headers: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(encoded):
        (length,) = _LENGTH.unpack_from(encoded, at)
        at += _LENGTH.size + length
        name = encoded[at - length : at].decode()
        (length,) = _LENGTH.unpack_from(encoded, at)
        at += _LENGTH.size
        if length < 0:
            headers.append((name, None))
        else:
            headers.append((name, encoded[at : at + length]))
            at += length
    return headers
