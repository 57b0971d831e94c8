"""One Iceberg table, read: its rows, its files, its snapshots and what we wrote into them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of

from pipelines.config.policies import Retention
from pipelines.lake.commits import (
    CHECKPOINT_AT,
    CHECKPOINT_SNAPSHOT,
    KEY_PREFIX,
    ROWS_OF,
    checkpoint_of,
    literal,
    summary_of,
    translate_store_errors,
)
from pipelines.lake.snapshot_retention import SnapshotLine, expendable

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

_IN_LIMIT = 200  # PyIceberg prunes by In() up to so many values

# Its expressions take a column's name first, which their pydantic signatures do not show to a type checker.
_at_least: Any = GreaterThanOrEqual
_at_most: Any = LessThanOrEqual
_equal: Any = EqualTo
_among: Any = In


@dataclass(frozen=True, slots=True)
class FileRange:
    """One data file and the least and greatest value of a column in it (None where the file keeps no bounds)."""

    path: str
    rows: int
    lower: int | None
    upper: int | None


class TableReader:
    """One Iceberg table as it was when loaded. Use it from one thread."""

    def __init__(self, lake: "Lake", name: str, table: Table) -> None:
        self._lake = lake
        self.name = name
        self._table = table

    @property
    def iceberg(self) -> Table:
        """The PyIceberg table, for reading."""
        return self._table

    @property
    def snapshot_id(self) -> int | None:
        """The current snapshot's id."""
        return self._table.metadata.current_snapshot_id

    @property
    def rows_snapshot_id(self) -> int | None:
        """The snapshot that the current rows came with: before compactions, which change none."""
        current = self._table.current_snapshot()
        return None if current is None else int(summary_of(current).get(ROWS_OF, current.snapshot_id))

    @property
    def sequence(self) -> int:
        """How many commits of rows or files there have been."""
        return self._table.metadata.next_sequence_number() - 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self._table.schema().fields)

    def reload(self) -> None:
        """Load the table's newest state from the catalog."""
        with translate_store_errors(f"reading table {self.name}"):
            self._table = self._lake.catalog.load_table(self.name)

    def checkpoint(self) -> Mapping[str, str]:
        """What our newest stamped commit wrote, keys without the prefix; {} where there is none.

        Walks back over snapshots of other writers (a foreign compaction, say), which carry no stamp.
        """
        carrier = self._carrier()
        return {} if carrier is None else checkpoint_of(carrier)

    def checkpoint_commit(self) -> tuple[int, datetime] | None:
        """Snapshot id and time of the commit that wrote `stamp`: a compaction carries it on, but did not write it."""
        carrier = self._carrier()
        if carrier is None:
            return None
        by = summary_of(carrier)
        if CHECKPOINT_SNAPSHOT in by:
            return int(by[CHECKPOINT_SNAPSHOT]), datetime.fromisoformat(by[CHECKPOINT_AT])
        return carrier.snapshot_id, _moment(carrier)

    def _carrier(self) -> Snapshot | None:
        metadata = self._table.metadata
        return next(
            (found for found in ancestors_of(metadata.current_snapshot(), metadata) if checkpoint_of(found)), None
        )

    def checkpoints(self) -> list[tuple[int, datetime, Mapping[str, str]]]:
        """(snapshot id, committed at, stamp) of every retained snapshot that wrote a stamp, oldest first."""
        return [
            (snapshot.snapshot_id, _moment(snapshot), stamp)
            for snapshot in self._table.metadata.snapshots
            if (stamp := checkpoint_of(snapshot)) and CHECKPOINT_SNAPSHOT not in summary_of(snapshot)
        ]

    def properties(self) -> Mapping[str, str]:
        """Table properties of ours, keys without the prefix."""
        return {
            key[len(KEY_PREFIX) :]: value for key, value in self._table.properties.items() if key.startswith(KEY_PREFIX)
        }

    def committed_at(self) -> datetime | None:
        """When the current snapshot was committed."""
        snapshot = self._table.current_snapshot()
        return None if snapshot is None else _moment(snapshot)

    def read(
        self,
        *,
        where: BooleanExpression | None = None,
        columns: Sequence[str] | None = None,
        snapshot_id: int | None = None,
    ) -> pa.Table:
        """Rows as Arrow; no order is promised."""
        if self.snapshot_id is None:
            schema = self._table.schema().as_arrow()
            return schema.empty_table().select(list(columns) if columns else schema.names)
        with translate_store_errors(f"reading table {self.name}"):
            return self._table.scan(
                row_filter=where if where is not None else AlwaysTrue(),
                selected_fields=tuple(columns) if columns else ("*",),
                snapshot_id=snapshot_id,
            ).to_arrow()

    def read_between(self, column: str, low: Any, high: Any, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows with low <= column <= high; None leaves that side open."""
        parts: list[BooleanExpression] = []
        if low is not None:
            parts.append(_at_least(column, literal(low)))
        if high is not None:
            parts.append(_at_most(column, literal(high)))
        where: BooleanExpression = AlwaysTrue() if not parts else parts[0] if len(parts) == 1 else And(*parts)
        return self.read(where=where, columns=columns)

    def read_in(
        self, column: str, values: Sequence[Any], columns: Sequence[str], equal: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose column is one of the values and that equal the rest; files are pruned by their bounds."""
        for start in range(0, len(values), _IN_LIMIT):
            where: BooleanExpression = _among(column, list(values[start : start + _IN_LIMIT]))
            for name, value in (equal or {}).items():
                where = And(_equal(name, value), where)
            yield from self.read(where=where, columns=columns).to_pylist()

    def read_appended(self, after_snapshot_id: int | None) -> pa.Table | None:
        """Rows of append snapshots after the given one (compactions are skipped); None where that snapshot is gone."""
        if after_snapshot_id is None:
            return self._read_all()
        if after_snapshot_id == self.snapshot_id:
            return self._table.schema().as_arrow().empty_table()
        metadata = self._table.metadata
        if not any(s.snapshot_id == after_snapshot_id for s in ancestors_of(metadata.current_snapshot(), metadata)):
            return None  # expired, or what came after it is: then the chain to it is broken
        with translate_store_errors(f"reading table {self.name}"):
            return self._table.incremental_append_scan(from_snapshot_id_exclusive=after_snapshot_id).to_arrow()

    def _read_all(self) -> pa.Table:
        """All rows; from this machine's files in a fifth of the time that PyIceberg's reader takes.

        What lies in a store is read by PyIceberg, which knows how to reach it and what to say when it cannot.
        """
        if not self._table.location().startswith(("file:", "/")):
            return self.read()
        with translate_store_errors(f"reading table {self.name}"):
            return self.scan().collect().to_arrow()

    def read_streamed(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows in pieces, so that memory stays bounded; no order is promised."""
        if self.snapshot_id is None:
            return
        scan = self._table.scan(selected_fields=tuple(columns))
        with translate_store_errors(f"reading table {self.name}"):
            for task in scan.plan_files():
                yield from self.read_files([task], columns)

    def read_files(
        self,
        tasks: Sequence[FileScanTask],
        columns: Sequence[str] | None = None,
        where: BooleanExpression | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of these files in the table's schema, file by file and batch by batch."""
        schema = self._table.schema()
        projected = schema if columns is None else schema.select(*columns)
        scan = ArrowScan(self._table.metadata, self._table.io, projected, where if where is not None else AlwaysTrue())
        for task in tasks:
            # The public way holds all batches of all files; files of other writers may have deletes beside them.
            streamed = scan.to_record_batches if task.delete_files else scan._record_batches_from_scan_tasks_and_deletes
            yield from streamed([task]) if task.delete_files else streamed([task], {})  # type: ignore[call-arg]

    def file_paths(self) -> list[str]:
        """Locations of the current data files."""
        return [task.file.file_path for task in self.tasks()]

    def missing_files(self) -> list[str]:
        """Data files that the current snapshot names and the store does not have."""
        return [path for path in self.file_paths() if not self._table.io.new_input(path).exists()]

    def tasks(self) -> list[FileScanTask]:
        """The current data files, as PyIceberg plans them."""
        if self.snapshot_id is None:
            return []
        with translate_store_errors(f"planning table {self.name}"):
            return list(self._table.scan().plan_files())

    def file_ranges(self, column: str, most_rows: int | None = None) -> list[FileRange]:
        """Data files with the bounds of an integer column, in no order.

        A file of more than `most_rows` rows comes as its row groups, whose bounds are as good.
        """
        field = self._table.schema().find_field(column)

        def bound(bounds: Mapping[int, bytes] | None) -> int | None:
            raw = (bounds or {}).get(field.field_id)
            return None if raw is None else int(from_bytes(field.field_type, raw))  # type: ignore[arg-type]

        found = []
        for file in (task.file for task in self.tasks()):
            lower, upper = bound(file.lower_bounds), bound(file.upper_bounds)
            whole = FileRange(file.file_path, file.record_count, lower, upper)
            is_large = most_rows is not None and file.record_count > most_rows and lower != upper
            found += self._row_groups(whole, column) if is_large else [whole]
        return found

    def _row_groups(self, file: FileRange, column: str) -> list[FileRange]:
        with translate_store_errors(f"reading table {self.name}"), self._table.io.new_input(file.path).open() as stream:
            footer = pq.ParquetFile(stream).metadata
        if column not in footer.schema.names:
            return [file]
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        place = footer.schema.names.index(column)
        bounds = [group.column(place).statistics for group in groups]
        if not all(found is not None and found.has_min_max for found in bounds):
            return [file]
        return [
            FileRange(file.path, group.num_rows, found.min, found.max)
            for group, found in zip(groups, bounds, strict=True)
        ]

    def scan(self, snapshot_id: int | None = None) -> pl.LazyFrame:
        """The table, as it is or was at a snapshot, as a Polars LazyFrame, for queries."""
        if self.snapshot_id is None:
            return self._nothing()
        return pl.scan_iceberg(self._table, snapshot_id=snapshot_id)

    def snapshot_at(self, moment: datetime) -> int | None:
        """The retained snapshot that shows the table as it was at a moment, or last before it; None: there is none."""
        found = self._table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000), inclusive=True)
        return None if found is None else found.snapshot_id

    def scan_at(self, moment: datetime) -> pl.LazyFrame | None:
        """The table as it was then: by the newest snapshot kept that is not younger; None: none so old is kept."""
        found = self.snapshot_at(moment)
        if found is None:
            return None if self.kept_since is not None else self._nothing()
        return self.scan(found)

    def _nothing(self) -> pl.LazyFrame:
        return pl.LazyFrame(pl.from_arrow(self._table.schema().as_arrow().empty_table()))

    @property
    def kept_since(self) -> datetime | None:
        """The time of the oldest retained snapshot; None: all of the table's history is there, from its first row."""
        oldest = min(self._table.metadata.snapshots, key=lambda s: s.sequence_number or 0, default=None)
        return None if oldest is None or oldest.sequence_number == 1 else _moment(oldest)

    def expendable(self, now: datetime, retention: Retention, pinned: Collection[int] = ()) -> list[int]:
        """Ids of the snapshots that may be expired, oldest first (see `retention.expendable`)."""
        ordered = sorted(self._table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
        lines = [
            SnapshotLine(
                snapshot.snapshot_id,
                snapshot.parent_snapshot_id,
                _moment(snapshot),
                bool(checkpoint_of(snapshot)),
                snapshot.summary is not None and snapshot.summary.operation == Operation.OVERWRITE,
            )
            for snapshot in ordered
        ]
        return expendable(lines, now, retention, pinned)

    def totals(self) -> dict[str, int]:
        """Rows, files and bytes as the current snapshot counts them: total-records, total-data-files, …"""
        snapshot = self._table.current_snapshot()
        summary = summary_of(snapshot) if snapshot else {}
        return {key: int(value) for key, value in summary.items() if key.startswith("total-")}

    @property
    def snapshot_count(self) -> int:
        """Snapshots retained."""
        return len(self._table.metadata.snapshots)


def _moment(snapshot: Snapshot) -> datetime:
    return datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
