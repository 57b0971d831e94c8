"""Log to bronze: each record as it came; in the same commit where to read on and whose log it was (R20-R23)."""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.bronze.gap_message import gap_message
from pipelines.bronze.landing_file import LandingFile
from pipelines.bronze.landing_records import LANDING_PARTITION
from pipelines.bronze.landing_records import records as landing_records
from pipelines.bronze.position import Position
from pipelines.bronze.table import BronzeBatch, bronze_rows, ensure_bronze
from pipelines.bronze.topic_identity import compare_with_log, with_bronze_partitions
from pipelines.clock import Clock
from pipelines.errors import CommitConflictError, LogIdentityError
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import Lake
from pipelines.log.interface import RECORDS, Log

__all__ = ["Position"]


_LOOK_EVERY = 1.0  # seconds between looks at the topic's id, where the log does not tell it with the records


class BronzeWriter:
    """Reads one topic from the log into its bronze table, batch by batch. One thread, one holder."""

    def __init__(self, lake: Lake, log: Log, topic: str) -> None:
        self.topic = topic
        self.table = ensure_bronze(lake, topic)
        self.position = Position.of(self.table)
        self._raw = log
        self._identify()

    def _identify(self) -> None:
        """Where to read each partition. Raises LogIdentityError where this is not the topic that bronze was read from,
        or where records are gone that bronze has not read."""
        at = self.position
        self._log: Log = with_bronze_partitions(self._raw, self.topic, at.incarnation)
        seen = compare_with_log(self.table, self._raw, self.topic, at)
        if seen.gaps:
            raise LogIdentityError(gap_message(self.topic, self.table.name, at, self._raw.identity, seen))
        state = seen.state
        self._topic_id, self._first_offsets = state.topic_id, state.first_offsets
        self._positions = {
            partition: at.next_offsets.get(partition, first) for partition, first in state.first_offsets.items()
        }
        self._looked_at = time.monotonic()

    def end_offsets(self) -> Mapping[int, int]:
        """Where each partition of the log ends now."""
        return self._log.topic_state(self.topic).end_offsets

    def lag(self, ends: Mapping[int, int]) -> int:
        """Offsets between what bronze has and these ends of the log; holes in the log count."""
        return sum(max(0, end - self._positions.get(partition, 0)) for partition, end in ends.items())

    def reload(self) -> None:
        """Go on from what the table says now, after another writer committed; sees new partitions, too."""
        self.table.reload()
        self.position = Position.of(self.table)
        self._identify()

    def next_batch(self, max_records: int, clock: Clock, wait: float = 0.0) -> BronzeBatch | None:
        """Poll and commit one batch; None when the log has nothing new (then nothing is committed).

        Raises what the log's `poll` and the table's `append` raise; nothing is committed then.
        """
        started_at = clock()
        try:
            polled = self._log.poll(self.topic, self._positions, max_records, wait)
        except LogIdentityError:
            self._identify()  # says all that is missing, and what to do
            raise
        if not polled.records.num_rows:
            return None
        if polled.topic_id is None and time.monotonic() - self._looked_at > _LOOK_EVERY:
            self._identify_again()
        if polled.topic_id not in (None, self._topic_id):
            self._identify()
            raise CommitConflictError(f"topic {self.topic} changed while it was read: nothing of it was written")
        fault_point(f"{self.table.name}.polled")
        ingested_at = clock()
        return self._commit(polled.records, {**self._positions, **polled.next_offsets}, started_at, ingested_at)

    def _identify_again(self) -> None:
        """After a poll, before its commit: the records are thrown away if they are another topic's."""
        if self._log.topic_state(self.topic).topic_id != self._topic_id:
            self._identify()
        self._looked_at = time.monotonic()

    def _commit(
        self, records: pa.Table, next_offsets: Mapping[int, int], started_at: datetime, ingested_at: datetime
    ) -> BronzeBatch:
        batch_id = self.position.batch_id + 1
        position = self._moved(batch_id, next_offsets, self.position.landed)
        rows = bronze_rows(records, ingested_at, batch_id)
        snapshot_id = self.table.append(rows, position.checkpoint() | {"started-at": started_at.isoformat()})
        self.position = position
        self._positions = dict(next_offsets)
        committed_at = self.table.committed_at()
        assert committed_at is not None
        return BronzeBatch(self.topic, batch_id, rows, snapshot_id, started_at, committed_at)

    def _moved(self, batch_id: int, next_offsets: Mapping[int, int], landed: tuple[Mapping[str, Any], ...]) -> Position:
        return replace(
            self.position,
            batch_id=batch_id,
            next_offsets={**self.position.next_offsets, **self._positions, **next_offsets},
            log_id=self._log.identity,
            topic_id=self._topic_id,
            landed=landed,
            first_offsets=self._first_offsets,
        )

    def ingest_file(self, file: LandingFile, clock: Clock) -> int:
        """All records of a landing file in one commit, with its identity; the number of records.

        Raises UnreadableFileError, FileTroubleError or FileChangedError, and then nothing is committed. Memory is
        bounded: a large file is several batches.
        """
        now = clock()
        first_offset = self.position.next_offsets.get(LANDING_PARTITION, 0)
        entry: dict[str, Any] = {"file": file.name, "sha256": file.sha256, "ingested_at": now.isoformat(), "rows": 0}
        entry |= {"bytes": file.state.size, "inode": file.state.inode}
        entry["batch_from"] = self.position.batch_id + 1
        last = self.position

        def parts() -> Iterator[tuple[pa.Table, Mapping[str, str]]]:
            nonlocal last
            pieces = landing_records(file, first_offset, now)
            piece = next(pieces, RECORDS.empty_table())
            while piece is not None:
                following = next(pieces, None)
                batch_id = last.batch_id + (1 if piece.num_rows else 0)  # an empty file is no batch
                entry["rows"] += piece.num_rows
                entry["batch_to"] = batch_id
                # Only the last piece brings the file's identity: a foreign reader sees the commit as a whole anyway.
                landed = self.position.landed if following is not None else (*self.position.landed, entry)
                last = self._moved(batch_id, {LANDING_PARTITION: first_offset + entry["rows"]}, landed)
                yield bronze_rows(piece, now, batch_id), last.checkpoint() | {"started-at": now.isoformat()}
                piece = following

        self.table.append_parts(parts())
        self.position = last
        return int(entry["rows"])

    def forget_landed(self, sha256: Collection[str]) -> None:
        """Entries that `ops.landing_files` holds now need not ride along any more."""
        kept = tuple(entry for entry in self.position.landed if entry["sha256"] not in sha256)
        self.position = replace(self.position, landed=kept)

    def forget_gaps(self) -> None:
        """Rows that `ops.log_gaps` holds now need not ride along any more."""
        self.position = replace(self.position, gaps=())
