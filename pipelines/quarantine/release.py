"""Releases quarantined records: sends them to the log again, unchanged or fixed, each once (R27).

A record counts as released when the log has a copy of it that is not in quarantine again. A release records that it
begins, sends the copies, finds them in the log and records them in `ops.releases`. If it ends after any of these steps,
the next release of the topic first records the copies that it finds in the log.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.bronze.incarnations import in_log
from pipelines.bronze.position import Position
from pipelines.bronze.record_ref import RecordRef, ref_text
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.config.log import open_log_of
from pipelines.config.settings import Settings
from pipelines.contracts.tables import bronze_name
from pipelines.errors import LakehouseError, LogUnavailableError, PermanentError
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, open_lakehouse
from pipelines.log.interface import OUTGOING, Log
from pipelines.log.outgoing import assigned
from pipelines.quarantine.copies import find_copies
from pipelines.quarantine.fixes import Fix
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release_log import PendingRelease, ReleaseEntry, ReleaseHistory, ReleaseTable
from pipelines.quarantine.selection import choose, one_topic
from pipelines.silver.release_header import RELEASE_HEADER

_CHUNK_RECORDS, _CHUNK_BYTES = 20_000, 16 << 20  # sent at a time: one transaction of the embedded log
_READABLE_WITHIN = 5.0  # seconds after which acknowledged records must be readable


@dataclass(frozen=True, slots=True)
class Released:
    """The result of a release."""

    topic: str
    copies: Sequence[tuple[RecordRef, RecordRef]]  # record and copy
    recovered: int  # copies of an interrupted release that this one recorded
    already: int  # selected records that were released before
    left: int  # selected records for which the fix returned null

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "topic": self.topic,
            "released": len(self.copies),
            "recovered": self.recovered,
            "already_released": self.already,
            "left_by_fix": self.left,
            "copies": [{"record": ref_text(record), "copy": ref_text(copy)} for record, copy in self.copies],
        }


def release(settings: Settings, wanted: QuarantineFilter, fix: Fix | None, on_note: Callable[[str], None]) -> Released:
    """Send the selected records of one topic to the log, each once even if this is repeated or killed.

    Nothing is sent unless the fix succeeds for all records. `run` then reads the copies into silver. Raises
    LogRefusedError or LogUnavailableError when the log does not accept the records: the accepted ones are recorded,
    and the same command continues with the others.
    """
    topic = one_topic(wanted)
    lake = open_lakehouse(settings)
    try:
        with home_lock(settings.home, "release"), opened_log(settings) as opened:
            opened.ensure_topics([topic], settings.partitions)
            log = with_bronze_numbers(lake, opened, topic)
            table = ReleaseTable(lake)
            recovered = _recover(lake, log, table, topic)
            if recovered:
                on_note(f"Recorded {recovered:,} records that an interrupted release had sent.")
            chosen = choose(lake, wanted, ReleaseHistory.read(lake), fix)
            sent = _send(lake, log, table, topic, chosen.rows, fix.name if fix else None)
            links = [(entry.origin, entry.copy) for entry in sent]
            return Released(topic, links, recovered, chosen.already, chosen.left)
    finally:
        lake.close()


def _recover(lake: Lake, log: Log, table: ReleaseTable, topic: str) -> int:
    """Finish a pending release; the number of copies that were not recorded."""
    pending = table.pending(topic)
    if pending is None:
        return 0
    copies = find_copies(lake, log, topic, pending, ReleaseHistory.read(lake))
    table.record(topic, copies, finished=True)
    return len(copies)


@contextlib.contextmanager
def opened_log(settings: Settings) -> Iterator[Log]:
    """The log of the settings, closed at the end."""
    log = open_log_of(settings)
    try:
        yield log
    finally:
        log.close()


def with_bronze_numbers(lake: Lake, log: Log, topic: str) -> Log:
    """The log with the partition numbers that bronze uses for the topic it reads now."""
    bronze = lake.find(bronze_name(topic))
    return log if bronze is None else with_bronze_partitions(log, topic, Position.of(bronze).incarnation)


def outgoing(topic: str, rows: pl.DataFrame, partitions: int) -> pa.Table:
    """The chosen rows as records to send, with their key and headers, to their own partition if the topic has it."""
    headers = [
        [
            *(header for header in found or () if header["key"] != RELEASE_HEADER),
            {"key": RELEASE_HEADER, "value": f"{topic}/{partition}/{offset}".encode()},
        ]
        for found, partition, offset in rows.select("headers", "partition", "offset").iter_rows()
    ]
    own = [in_log(partition) if 0 <= in_log(partition) < partitions else None for partition in rows["partition"]]
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(own, pa.int32()),
            pa.nulls(len(rows), OUTGOING.field("timestamp").type),
            pa.array(rows["key"].to_list(), pa.binary()),
            pa.array(headers, OUTGOING.field("headers").type),
            pa.array(rows["new"].to_list(), pa.binary()),
        ],
        schema=OUTGOING,
    )
    chosen = pa.array(assigned(topic, batch, partitions, 0).astype(np.int32), pa.int32())
    return pa.Table.from_batches([batch.set_column(0, OUTGOING.field("partition"), chosen)])


def _send(
    lake: Lake, log: Log, table: ReleaseTable, topic: str, rows: pl.DataFrame, fix: str | None
) -> list[ReleaseEntry]:
    if not len(rows):
        return []
    state = log.topic_state(topic)
    pending = PendingRelease(log.identity, state.topic_id, dict(state.end_offsets), fix)
    table.begin(topic, pending)
    fault_point("release.intended")
    sent: list[ReleaseEntry] = []
    chunks = list(_chunks(rows))
    for number, chunk in enumerate(chunks, 1):
        before = PendingRelease(pending.log_id, pending.topic_id, dict(log.topic_state(topic).end_offsets), fix)
        try:
            log.append(topic, outgoing(topic, chunk, len(state.end_offsets)))
        except LakehouseError as error:
            with contextlib.suppress(LakehouseError):
                copies = _copies_of(chunk, find_copies(lake, log, topic, before))
                # Records in flight may still arrive. The release then stays pending, and the next one looks for them.
                table.record(topic, copies, finished=not isinstance(error, LogUnavailableError))
                sent += copies
            raise type(error)(
                f"{error}. {len(sent):,} of {len(rows):,} records of {topic} are released and recorded; the others "
                "stay in quarantine. Run the same command again to release them."
            ) from error
        fault_point("release.sent")
        copies = _wait_for_copies(lake, log, topic, before, chunk)
        table.record(topic, copies, finished=number == len(chunks))
        fault_point("release.noted")
        sent += copies
    return sent


def _chunks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    sizes = (rows["new"].bin.size().fill_null(0) + rows["key"].bin.size().fill_null(0)).to_list()
    start, size = 0, 0
    for row, more in enumerate(sizes):
        if row > start and (row - start == _CHUNK_RECORDS or size + more > _CHUNK_BYTES):
            yield rows[start:row]
            start, size = row, 0
        size += more
    yield rows[start:]


def _wait_for_copies(
    lake: Lake, log: Log, topic: str, before: PendingRelease, chunk: pl.DataFrame
) -> list[ReleaseEntry]:
    """The copies of all records of the chunk. Raises PermanentError where the log does not return them in time."""
    deadline = time.monotonic() + _READABLE_WITHIN
    while len(copies := _copies_of(chunk, find_copies(lake, log, topic, before))) < len(chunk):
        if time.monotonic() > deadline:
            raise PermanentError(
                f"the log acknowledged {len(chunk):,} records of {topic}, but only {len(copies):,} of them can be "
                "read. None of these is recorded; the next release looks for them again."
            )
        time.sleep(0.1)
    return copies


def _copies_of(chunk: pl.DataFrame, entries: Sequence[ReleaseEntry]) -> list[ReleaseEntry]:
    """The entries of records of the chunk with the value that was sent."""
    sent = set(chunk.select("partition", "offset", "sha256").iter_rows())
    return [entry for entry in entries if (*entry.origin, entry.value_sha256) in sent]
