"""Release of quarantined records: sent to the log again, as they are or fixed, each once (R27).

A record has been released when a copy of it lies in the log that is not in quarantine again. Order of the steps: the
intent is written, the copies are sent, found in the log, and noted in `ops.releases`. Death after any of them is mended
by the next release of the topic, which looks in the log from the intent on before it sends anything.
"""

import contextlib
import hashlib
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
from pipelines.bronze.table import ensure_bronze
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
from pipelines.quarantine.fixes import Fix
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release_log import (
    PendingRelease,
    ReleaseHistory,
    ReleaseTable,
    copies_in_bronze,
    copies_in_log,
)
from pipelines.quarantine.selection import choose, one_topic, quarantined_refs
from pipelines.silver.release_header import RELEASE_HEADER, origins

_CHUNK_RECORDS, _CHUNK_BYTES = 20_000, 16 << 20  # sent at a time: one transaction of the embedded log
_PATIENCE = 5.0  # seconds until what the log has acknowledged must be readable


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did."""

    topic: str
    copies: Sequence[tuple[RecordRef, RecordRef]]  # record and copy
    recovered: int  # copies that a release which was cut short had sent, noted now
    already: int  # selected, and released before
    left: int  # selected, and the fix gave null

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


def release(settings: Settings, wanted: QuarantineFilter, fix: Fix | None, say: Callable[[str], None]) -> Released:
    """Send the wanted records of one topic to the log, each once however often this is repeated or killed.

    Nothing is sent unless the fix works for all. Raises LogRefusedError or LogUnavailableError when the log does not
    take them: what it took is noted, the rest stays, and the same command goes on. `run` brings them to silver.
    """
    topic = one_topic(wanted)
    lake = open_lakehouse(settings)
    try:
        with home_lock(settings.home, "release"), opened_log(settings) as opened:
            opened.ensure_topics([topic], settings.partitions)
            log = in_bronze_numbers(lake, opened, topic)
            table, book = ReleaseTable(lake), ReleaseHistory.read(lake)
            intent = table.intent(topic)
            found = unnoted(lake, log, topic, intent, book) if intent else []
            if intent is not None:
                table.note(topic, found, finished=True)
                if found:
                    say(f"{len(found):,} records were sent by a release that was cut short: they are noted now")
            chosen = choose(lake, wanted, ReleaseHistory.read(lake), fix)
            sent = _send(lake, log, table, topic, chosen.rows, fix.name if fix else None)
            return Released(topic, [_link(row) for row in sent], len(found), chosen.already, chosen.left)
    finally:
        lake.close()


@contextlib.contextmanager
def opened_log(settings: Settings) -> Iterator[Log]:
    """The log of the settings."""
    log = open_log_of(settings)
    try:
        yield log
    finally:
        log.close()


def in_bronze_numbers(lake: Lake, log: Log, topic: str) -> Log:
    """The log with partitions with_bronze_partitions as bronze numbers those of the topic that it reads now."""
    bronze = lake.find(bronze_name(topic))
    return log if bronze is None else with_bronze_partitions(log, topic, Position.of(bronze).incarnation)


def outgoing(topic: str, rows: pl.DataFrame, partitions: int) -> pa.Table:
    """The chosen rows as records to send: key and headers kept, to the partition they came from where there is one."""
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
) -> list[dict[str, Any]]:
    if not len(rows):
        return []
    state = log.topic_state(topic)
    intent = PendingRelease(log.identity, state.topic_id, dict(state.end_offsets), fix)
    table.intend(topic, intent)
    fault_point("release.intended")
    done: list[dict[str, Any]] = []
    chunks = list(_chunks(rows))
    for number, chunk in enumerate(chunks, 1):
        here = PendingRelease(intent.log_id, intent.topic_id, dict(log.topic_state(topic).end_offsets), fix)
        try:
            log.append(topic, outgoing(topic, chunk, len(state.end_offsets)))
        except LakehouseError as error:
            with contextlib.suppress(LakehouseError):
                found = _copies(lake, log, topic, here, chunk)
                # What was cut off on its way may still arrive: then the intent stays, and the next release looks again.
                table.note(topic, found, finished=not isinstance(error, LogUnavailableError))
                done += found
            raise type(error)(
                f"{error}. {len(done):,} of {len(rows):,} records of {topic} are released and noted; the others stay "
                "in quarantine, and the same command goes on with them."
            ) from error
        fault_point("release.sent")
        found = _found_all(lake, log, topic, here, chunk)
        table.note(topic, found, finished=number == len(chunks))
        fault_point("release.noted")
        done += found
    return done


def _chunks(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    sizes = (rows["new"].bin.size().fill_null(0) + rows["key"].bin.size().fill_null(0)).to_list()
    start, size = 0, 0
    for row, more in enumerate(sizes):
        if row > start and (row - start == _CHUNK_RECORDS or size + more > _CHUNK_BYTES):
            yield rows[start:row]
            start, size = row, 0
        size += more
    yield rows[start:]


def _found_all(lake: Lake, log: Log, topic: str, since: PendingRelease, chunk: pl.DataFrame) -> list[dict[str, Any]]:
    deadline = time.monotonic() + _PATIENCE
    while len(found := _copies(lake, log, topic, since, chunk)) < len(chunk):
        if time.monotonic() > deadline:
            raise PermanentError(
                f"the log acknowledged {len(chunk):,} records of {topic}, but {len(found):,} of them can be read from "
                "it. Nothing of these is noted; the next release looks for them again."
            )
        time.sleep(0.1)
    return found


def _copies(lake: Lake, log: Log, topic: str, since: PendingRelease, chunk: pl.DataFrame) -> list[dict[str, Any]]:
    """Those of the chunk's copies that the log holds: the same value under a header that names the record."""
    sent = set(chunk.select("partition", "offset", "sha256").iter_rows())
    rows = unnoted(lake, log, topic, since, None)
    return [row for row in rows if (row["partition"], row["offset"], row["value_sha256"]) in sent]


def unnoted(
    lake: Lake, log: Log, topic: str, since: PendingRelease, book: ReleaseHistory | None
) -> list[dict[str, Any]]:
    """Rows of `ops.releases` for copies from an intent on that the book does not have: by the headers in the log.

    A header counts as it does in silver: when it names a quarantined record.
    """
    state = log.topic_state(topic)
    parts: list[pa.Table] = []
    same = (since.log_id, since.topic_id) == (log.identity, state.topic_id)
    gone = {
        p: offset for p, offset in since.offsets.items() if not same or offset < state.first_offsets.get(p, offset + 1)
    }
    if gone:
        parts += copies_in_bronze(ensure_bronze(lake, topic), gone)
    if same:
        parts += copies_in_log(log, topic, since.offsets)
    claims: dict[RecordRef, tuple[list[RecordRef], dict[str, Any]]] = {}
    for part in parts:
        for row, places in origins(topic, part, np.ones(part.num_rows, bool)).items():
            copy = part.column("partition")[row].as_py(), part.column("offset")[row].as_py()
            value = part.column("value")[row].as_py()
            claims[copy] = (
                places,
                {
                    "topic": topic,
                    "release_partition": copy[0],
                    "release_offset": copy[1],
                    "fix": since.fix,
                    "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
                    "released_at": part.column("timestamp")[row].as_py(),
                },
            )
    named = {place for places, _ in claims.values() for place in places}
    held = set(quarantined_refs(lake, topic, named)) if named else set()
    found = []
    for copy, (places, noted) in sorted(claims.items()):
        origin = next((place for place in places if place in held), None)
        if origin is not None and (book is None or book.origin(topic, copy) is None):
            found.append(noted | {"partition": origin[0], "offset": origin[1]})
    return found


def _link(row: dict[str, Any]) -> tuple[RecordRef, RecordRef]:
    return (row["partition"], row["offset"]), (row["release_partition"], row["release_offset"])
