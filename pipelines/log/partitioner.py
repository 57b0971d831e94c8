"""Computes the partition of keys as Kafka's Java client does, for a whole column at once.

`partition = toPositive(murmur2(key)) % partitions`.
Source: org.apache.kafka.common.utils.Utils.murmur2 (seed 0x9747b28c), librdkafka's `murmur2` partitioner.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint32]

_SEED = 0x9747B28C
_M = 0x5BD1E995
MAX_VECTORIZED_BYTES = 4096  # longer keys are hashed one by one: a vectorized step costs one numpy call a word
_MASK = 0xFFFFFFFF


def murmur2(keys: pa.Array) -> Words:
    """Return the unsigned 32-bit hash of every key, in order. Takes binary or string arrays; null hashes like b""."""
    lengths, starts, data = _buffers(keys)
    hashes = np.uint32(_SEED) ^ lengths.astype(np.uint32)
    long = np.flatnonzero(lengths > MAX_VECTORIZED_BYTES)
    short = np.flatnonzero(lengths <= MAX_VECTORIZED_BYTES)
    # Longest first: the keys that still have a word to mix are then a slice from the front.
    short = short[np.argsort(-lengths[short], kind="stable")]
    hashes[short] = _hash_short(hashes[short], starts[short], lengths[short], data)
    for row in long:
        hashes[row] = _hash_long(int(hashes[row]), data[starts[row] : starts[row] + lengths[row]])
    return hashes


def partitions_of(keys: pa.Array, partitions: int) -> npt.NDArray[np.int32]:
    """Return the partition of every key, in order, for a topic with `partitions` partitions."""
    return ((murmur2(keys) & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.int32)


def _buffers(keys: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return length and start of every key, and the bytes, padded so that a word can be read at any start."""
    if not (pa.types.is_binary(keys.type) or pa.types.is_string(keys.type)):
        keys = keys.cast(pa.binary())
    _, offset_buffer, data_buffer = keys.buffers()
    if not len(keys):
        offsets = np.zeros(1, np.int32)
    else:
        offsets = np.frombuffer(offset_buffer, np.int32)[keys.offset : keys.offset + len(keys) + 1]
    begin, end = int(offsets[0]), int(offsets[-1])
    data = np.zeros(end - begin + 4, np.uint8)
    if end > begin:
        data[: end - begin] = np.frombuffer(data_buffer, np.uint8)[begin:end]
    lengths = np.diff(offsets).astype(np.int64)
    if keys.null_count:
        lengths[keys.is_null().to_numpy(zero_copy_only=False)] = 0
    return lengths, offsets[:-1].astype(np.int64) - begin, data


def _mix(words: Words) -> Words:
    words = words * np.uint32(_M)
    words ^= words >> np.uint32(24)
    words *= np.uint32(_M)
    return words


def _finish(hashes: Words) -> Words:
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(_M)
    hashes ^= hashes >> np.uint32(15)
    return hashes


def _hash_short(
    hashes: Words, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]
) -> Words:
    """Hash keys that are ordered by length, longest first. `hashes` holds their seeds."""
    # The four bytes that begin at any position, as one little-endian word.
    words: Words = np.ndarray((len(data) - 3,), np.dtype("<u4"), data.data, strides=(1,))
    whole = lengths // 4
    for step in range(int(whole[0]) if len(whole) else 0):
        active = int(np.searchsorted(-whole, -step, side="left"))  # rows with more than `step` whole words
        head = hashes[:active]
        head *= np.uint32(_M)
        head ^= _mix(words[starts[:active] + 4 * step])
    rest = lengths % 4
    tail = words[starts + 4 * whole] & ((np.uint32(1) << (8 * rest).astype(np.uint32)) - np.uint32(1))
    hashes = np.where(rest > 0, (hashes ^ tail) * np.uint32(_M), hashes)
    return _finish(hashes)


def _hash_long(seeded: int, data: npt.NDArray[np.uint8]) -> int:
    """Hash one long key: mixing the words is vectorized, combining them is a loop."""
    whole = len(data) // 4 * 4
    value = seeded
    for word in _mix(np.frombuffer(data[:whole].tobytes(), "<u4")).tolist():
        value = value * _M & _MASK ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:].tobytes(), "little")) * _M & _MASK
    return int(_finish(np.array([value], np.uint32))[0])
