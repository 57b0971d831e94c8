"""Finds the copies that a release sent: records with its header, in the log or in bronze (R27)."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef
from pipelines.bronze.table import ensure_bronze
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.log.interface import Log
from pipelines.log.scan import scan
from pipelines.quarantine.release_log import PendingRelease, ReleaseEntry, ReleaseHistory
from pipelines.quarantine.selection import quarantined_refs
from pipelines.silver.release_header import origins, release_mask

_CHUNK = 50_000  # records read from the log at a time
_COLUMNS = ("partition", "offset", "value", "timestamp")


def find_copies(
    lake: Lake, log: Log, topic: str, pending: PendingRelease, recorded: ReleaseHistory | None = None
) -> list[ReleaseEntry]:
    """Copies from the offsets of a pending release on, except those that are recorded.

    A header counts as it does in silver: if it names a quarantined record. Where the log no longer holds the offsets,
    or is another one, the copies are looked for in bronze.
    """
    claims: dict[RecordRef, tuple[list[RecordRef], bytes | None, datetime | None]] = {}
    for rows in _rows_with_header(lake, log, topic, pending):
        for row, refs in origins(topic, rows, np.ones(rows.num_rows, bool)).items():
            partition, offset, value, timestamp = (rows.column(name)[row].as_py() for name in _COLUMNS)
            claims[partition, offset] = refs, value, timestamp
    named = {ref for refs, _, _ in claims.values() for ref in refs}
    quarantined = set(quarantined_refs(lake, topic, named)) if named else set()
    found = []
    for copy, (refs, value, timestamp) in sorted(claims.items()):
        origin = next((ref for ref in refs if ref in quarantined), None)
        if origin is None or (recorded is not None and recorded.origin(topic, copy) is not None):
            continue
        digest = None if value is None else hashlib.sha256(value).hexdigest()
        found.append(ReleaseEntry(topic, *origin, *copy, pending.fix, digest, timestamp))
    return found


def _rows_with_header(lake: Lake, log: Log, topic: str, pending: PendingRelease) -> Iterator[pa.Table]:
    state = log.topic_state(topic)
    is_same = (pending.log_id, pending.topic_id) == (log.identity, state.topic_id)
    missing = {
        partition: offset
        for partition, offset in pending.offsets.items()
        if not is_same or offset < state.first_offsets.get(partition, offset + 1)
    }
    if missing:
        yield from _in_bronze(ensure_bronze(lake, topic), missing)
    if is_same:
        yield from _in_log(log, topic, pending.offsets)


def _in_log(log: Log, topic: str, since: Mapping[int, int]) -> Iterator[pa.Table]:
    """Records of the log (schema RECORDS), from these offsets on, with a release header."""
    state = log.topic_state(topic)
    at = {p: max(offset, state.first_offsets[p]) for p, offset in since.items() if p in state.end_offsets}
    for records in scan(log, topic, at, state.end_offsets, _CHUNK):
        yield records.filter(pa.array(release_mask(records)))


def _in_bronze(bronze: LakeTable, since: Mapping[int, int]) -> Iterator[pa.Table]:
    """The same from bronze."""
    rows = bronze.read_between("offset", min(since.values(), default=0), None, [*_COLUMNS, "headers"])
    refs = zip(rows.column("partition").to_pylist(), rows.column("offset").to_pylist(), strict=True)
    is_later = [partition in since and offset >= since[partition] for partition, offset in refs]
    later = rows.filter(pa.array(is_later, pa.bool_()))
    yield later.filter(pa.array(release_mask(later)))
