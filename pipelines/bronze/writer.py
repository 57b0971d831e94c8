"""Log to bronze: unchanged records, committed together with the read position and the log's identity (R20 to R23)."""

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

_IDENTITY_CHECK_SECONDS = 1.0  # between checks of the topic's id, if the log does not return it with the records


class BronzeWriter:
    """Reads one topic from the log into its bronze table, batch by batch. Use it from one thread."""

    def __init__(self, lake: Lake, log: Log, topic: str) -> None:
        self.topic = topic
        self.table = ensure_bronze(lake, topic)
        self.position = Position.of(self.table)
        self._log_unnumbered = log
        self._identify()

    def _identify(self) -> None:
        """Determine the next offset of each partition.

        Raises LogIdentityError if this is not the topic that bronze was read from, or if unread records are gone.
        """
        position, log = self.position, self._log_unnumbered
        self._log: Log = with_bronze_partitions(log, self.topic, position.incarnation)
        comparison = compare_with_log(self.table, log, self.topic, position)
        if comparison.gaps:
            raise LogIdentityError(gap_message(self.topic, self.table.name, position, log.identity, comparison))
        state = comparison.state
        self._topic_id, self._first_offsets = state.topic_id, state.first_offsets
        self._next_offsets = {
            partition: position.next_offsets.get(partition, first) for partition, first in state.first_offsets.items()
        }
        self._identified_at = time.monotonic()

    def end_offsets(self) -> Mapping[int, int]:
        """The current end offset of each partition of the log."""
        return self._log.topic_state(self.topic).end_offsets

    def lag(self, ends: Mapping[int, int]) -> int:
        """The number of offsets from bronze's position to these end offsets, holes included."""
        return sum(max(0, end - self._next_offsets.get(partition, 0)) for partition, end in ends.items())

    def reload(self) -> None:
        """Continue from the table's current checkpoint, after another writer's commit. Finds new partitions too."""
        self.table.reload()
        self.position = Position.of(self.table)
        self._identify()

    def next_batch(self, max_records: int, clock: Clock, wait: float = 0.0) -> BronzeBatch | None:
        """Poll and commit one batch. Returns None, without a commit, if the log has nothing new.

        Raises the errors of `Log.poll` and `LakeTable.append`. Nothing is committed then.
        """
        started_at = clock()
        try:
            polled = self._log.poll(self.topic, self._next_offsets, max_records, wait)
        except LogIdentityError:
            self._identify()  # raises an error with all gaps and what to do
            raise
        if not polled.records.num_rows:
            return None
        if polled.topic_id is None and time.monotonic() - self._identified_at > _IDENTITY_CHECK_SECONDS:
            self._check_identity()
        if polled.topic_id not in (None, self._topic_id):
            self._identify()
            raise CommitConflictError(f"topic {self.topic} changed while it was read: no records were written")
        fault_point(f"{self.table.name}.polled")
        ingested_at = clock()
        return self._commit(polled.records, {**self._next_offsets, **polled.next_offsets}, started_at, ingested_at)

    def _check_identity(self) -> None:
        """Check the topic's id after a poll and before its commit. Raises if the records are another topic's."""
        if self._log.topic_state(self.topic).topic_id != self._topic_id:
            self._identify()
        self._identified_at = time.monotonic()

    def _commit(
        self, records: pa.Table, next_offsets: Mapping[int, int], started_at: datetime, ingested_at: datetime
    ) -> BronzeBatch:
        batch_id = self.position.batch_id + 1
        position = self._advanced(batch_id, next_offsets, self.position.landed)
        rows = bronze_rows(records, ingested_at, batch_id)
        snapshot_id = self.table.append(rows, position.checkpoint() | {"started-at": started_at.isoformat()})
        self.position = position
        self._next_offsets = dict(next_offsets)
        committed_at = self.table.committed_at()
        assert committed_at is not None
        return BronzeBatch(self.topic, batch_id, rows, snapshot_id, started_at, committed_at)

    def _advanced(
        self, batch_id: int, next_offsets: Mapping[int, int], landed: tuple[Mapping[str, Any], ...]
    ) -> Position:
        """The position after a batch."""
        return replace(
            self.position,
            batch_id=batch_id,
            next_offsets={**self.position.next_offsets, **self._next_offsets, **next_offsets},
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
                batch_id = last.batch_id + (1 if piece.num_rows else 0)  # an empty file adds no batch
                entry["rows"] += piece.num_rows
                entry["batch_to"] = batch_id
                # Only the last piece carries the file's identity. The commit is atomic for all readers.
                landed = self.position.landed if following is not None else (*self.position.landed, entry)
                last = self._advanced(batch_id, {LANDING_PARTITION: first_offset + entry["rows"]}, landed)
                yield bronze_rows(piece, now, batch_id), last.checkpoint() | {"started-at": now.isoformat()}
                piece = following

        self.table.append_parts(parts())
        self.position = last
        return int(entry["rows"])

    def forget_landed(self, sha256: Collection[str]) -> None:
        """Drop entries from the position that `ops.landing_files` has now."""
        kept = tuple(entry for entry in self.position.landed if entry["sha256"] not in sha256)
        self.position = replace(self.position, landed=kept)

    def forget_gaps(self) -> None:
        """Drop rows from the position that `ops.log_gaps` has now."""
        self.position = replace(self.position, gaps=())
