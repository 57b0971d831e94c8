"""Reads a topic from given positions up to given end offsets."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.log.interface import Log

_WAIT_SECONDS = 1.0  # for one poll


def scan(
    log: Log, topic: str, positions: Mapping[int, int], end_offsets: Mapping[int, int], max_records: int
) -> Iterator[pa.Table]:
    """Yield the records (schema RECORDS) from `positions`, inclusive, to `end_offsets`, exclusive, both by partition.

    Each table comes from one poll of at most `max_records` records and may be empty where offsets have holes. The scan
    ends early when a poll advances no position. Raises KeyError for a partition without an end offset, and what
    `Log.poll` raises.
    """
    current = dict(positions)
    while remaining := {p: offset for p, offset in current.items() if offset < end_offsets[p]}:
        polled = log.poll(topic, remaining, max_records, _WAIT_SECONDS)
        if all(polled.next_offsets[p] == offset for p, offset in remaining.items()):
            return
        current |= polled.next_offsets
        records = polled.records
        for partition in remaining:
            end = end_offsets[partition]
            if polled.next_offsets[partition] > end:
                is_beyond = pc.and_(pc.equal(records["partition"], partition), pc.greater_equal(records["offset"], end))
                records = records.filter(pc.invert(is_beyond))
        yield records
