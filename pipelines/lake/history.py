"""The snapshots of one Iceberg table, and the checkpoints and properties that our commits wrote."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from pipelines.config.policies import Retention
from pipelines.lake.commits import (
    CHECKPOINT_AT,
    CHECKPOINT_SNAPSHOT,
    KEY_PREFIX,
    ROWS_OF,
    checkpoint_of,
    prefixed,
    summary_of,
    translate_store_errors,
)
from pipelines.lake.snapshot_retention import SnapshotLine, expendable


class TableHistory:
    """One Iceberg table as it was when loaded. Use it from one thread."""

    def __init__(self, catalog: Catalog, name: str, table: Table) -> None:
        self.name = name
        self._catalog = catalog
        self._table = table

    @property
    def iceberg(self) -> Table:
        """The PyIceberg table, for reading."""
        return self._table

    def reload(self) -> None:
        """Load the table's newest state from the catalog. Raises StoreUnavailableError."""
        with translate_store_errors(f"reading table {self.name}"):
            self._table = self._catalog.load_table(self.name)

    @property
    def snapshot_id(self) -> int | None:
        """The current snapshot's id; None for a table without commits."""
        return self._table.metadata.current_snapshot_id

    @property
    def rows_snapshot_id(self) -> int | None:
        """The snapshot that last changed rows: compactions do not count."""
        current = self._table.current_snapshot()
        return None if current is None else int(summary_of(current).get(ROWS_OF, current.snapshot_id))

    @property
    def sequence(self) -> int:
        """The number of commits of rows or files so far."""
        return self._table.metadata.next_sequence_number() - 1

    @property
    def snapshot_count(self) -> int:
        """The number of retained snapshots."""
        return len(self._table.metadata.snapshots)

    def committed_at(self) -> datetime | None:
        """The commit time of the current snapshot."""
        snapshot = self._table.current_snapshot()
        return None if snapshot is None else _commit_time(snapshot)

    def totals(self) -> dict[str, int]:
        """Rows, files and bytes as the current snapshot counts them: total-records, total-data-files, ..."""
        snapshot = self._table.current_snapshot()
        summary = summary_of(snapshot) if snapshot else {}
        return {key: int(value) for key, value in summary.items() if key.startswith("total-")}

    def properties(self) -> Mapping[str, str]:
        """Our table properties, keys without the prefix."""
        return {
            key.removeprefix(KEY_PREFIX): value
            for key, value in self._table.properties.items()
            if key.startswith(KEY_PREFIX)
        }

    def checkpoint(self) -> Mapping[str, str]:
        """The newest checkpoint, keys without the prefix; {} if there is none.

        Skips snapshots of other writers, such as a foreign compaction: they carry no checkpoint.
        """
        snapshot = self._checkpoint_snapshot()
        return {} if snapshot is None else checkpoint_of(snapshot)

    def checkpoint_commit(self) -> tuple[int, datetime] | None:
        """Snapshot id and time of the commit that wrote the checkpoint; a compaction only carries it on."""
        snapshot = self._checkpoint_snapshot()
        if snapshot is None:
            return None
        summary = summary_of(snapshot)
        if CHECKPOINT_SNAPSHOT in summary:
            return int(summary[CHECKPOINT_SNAPSHOT]), datetime.fromisoformat(summary[CHECKPOINT_AT])
        return snapshot.snapshot_id, _commit_time(snapshot)

    def carried_checkpoint(self) -> dict[str, str]:
        """Summary keys with which another commit carries the checkpoint on; {} if there is none."""
        written = self.checkpoint_commit()
        if written is None:
            return {}
        origin = {CHECKPOINT_SNAPSHOT: str(written[0]), CHECKPOINT_AT: written[1].isoformat()}
        return prefixed(self.checkpoint()) | origin

    def _checkpoint_snapshot(self) -> Snapshot | None:
        metadata = self._table.metadata
        ancestors = ancestors_of(metadata.current_snapshot(), metadata)
        return next((snapshot for snapshot in ancestors if checkpoint_of(snapshot)), None)

    def checkpoints(self) -> list[tuple[int, datetime, Mapping[str, str]]]:
        """(snapshot id, commit time, checkpoint) of every retained snapshot that wrote a checkpoint, oldest first."""
        return [
            (snapshot.snapshot_id, _commit_time(snapshot), checkpoint)
            for snapshot in self._table.metadata.snapshots
            if (checkpoint := checkpoint_of(snapshot)) and CHECKPOINT_SNAPSHOT not in summary_of(snapshot)
        ]

    def snapshot_at(self, moment: datetime) -> int | None:
        """The newest retained snapshot committed at or before the moment; None if there is none."""
        snapshot = self._table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000), inclusive=True)
        return None if snapshot is None else snapshot.snapshot_id

    @property
    def kept_since(self) -> datetime | None:
        """The time of the oldest retained snapshot; None if no snapshot was ever expired."""
        oldest = min(self._table.metadata.snapshots, key=lambda s: s.sequence_number or 0, default=None)
        return None if oldest is None or oldest.sequence_number == 1 else _commit_time(oldest)

    def expendable(self, now: datetime, retention: Retention, pinned: Collection[int] = ()) -> list[int]:
        """Ids of the snapshots that may be expired, oldest first (see `snapshot_retention.expendable`)."""
        lines = [
            SnapshotLine(
                snapshot.snapshot_id,
                snapshot.parent_snapshot_id,
                _commit_time(snapshot),
                bool(checkpoint_of(snapshot)),
                snapshot.summary is not None and snapshot.summary.operation == Operation.OVERWRITE,
            )
            for snapshot in sorted(self._table.metadata.snapshots, key=lambda s: s.sequence_number or 0)
        ]
        return expendable(lines, now, retention, pinned)


def _commit_time(snapshot: Snapshot) -> datetime:
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
