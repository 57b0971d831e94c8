"""Reading the rows and data files of one Iceberg table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask
from pyiceberg.table.snapshots import ancestors_of

from pipelines.lake.commits import expression_literal, translate_store_errors
from pipelines.lake.frames import to_frame
from pipelines.lake.history import TableHistory
from pipelines.lake.pyiceberg_internals import stream_batches

_IN_LIMIT = 200  # PyIceberg prunes files by In() only up to this number of values

# The pydantic signatures of the expressions hide from type checkers that the column's name comes first.
_at_least: Any = GreaterThanOrEqual
_at_most: Any = LessThanOrEqual
_equal: Any = EqualTo
_among: Any = In


@dataclass(frozen=True, slots=True)
class FileRange:
    """One data file, and the least and greatest value of a column in it (None if the file has no bounds)."""

    path: str
    rows: int
    lower: int | None
    upper: int | None


class TableReader(TableHistory):
    """One Iceberg table as it was when loaded. Use it from one thread."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self._table.schema().fields)

    def read(
        self,
        *,
        where: BooleanExpression | None = None,
        columns: Sequence[str] | None = None,
        snapshot_id: int | None = None,
    ) -> pa.Table:
        """Rows as an Arrow table, in no particular order."""
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
            parts.append(_at_least(column, expression_literal(low)))
        if high is not None:
            parts.append(_at_most(column, expression_literal(high)))
        where: BooleanExpression = AlwaysTrue() if not parts else parts[0] if len(parts) == 1 else And(*parts)
        return self.read(where=where, columns=columns)

    def read_in(
        self, column: str, values: Sequence[Any], columns: Sequence[str], equal: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows whose column is one of the values and that match `equal`; files are pruned by their bounds."""
        for start in range(0, len(values), _IN_LIMIT):
            where: BooleanExpression = _among(column, list(values[start : start + _IN_LIMIT]))
            for name, value in (equal or {}).items():
                where = And(_equal(name, value), where)
            yield from self.read(where=where, columns=columns).to_pylist()

    def read_appended(self, after_snapshot_id: int | None) -> pa.Table | None:
        """Rows of the append snapshots after the given one; compactions are skipped.

        Returns all rows for None, and None if the given snapshot, or one after it, has been expired.
        """
        if after_snapshot_id is None:
            return self._read_all()
        if after_snapshot_id == self.snapshot_id:
            return self._table.schema().as_arrow().empty_table()
        metadata = self._table.metadata
        if not any(s.snapshot_id == after_snapshot_id for s in ancestors_of(metadata.current_snapshot(), metadata)):
            return None
        with translate_store_errors(f"reading table {self.name}"):
            return self._table.incremental_append_scan(from_snapshot_id_exclusive=after_snapshot_id).to_arrow()

    def _read_all(self) -> pa.Table:
        """All rows. Polars reads local files in a fifth of the time that PyIceberg needs.

        Other stores are read by PyIceberg, which has their credentials and the better error messages.
        """
        if not self._table.location().startswith(("file:", "/")):
            return self.read()
        with translate_store_errors(f"reading table {self.name}"):
            return self.scan().collect().to_arrow()

    def read_streamed(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows in batches, in no particular order. Memory is bounded."""
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
            yield from stream_batches(scan, task)

    def scan(self, snapshot_id: int | None = None) -> pl.LazyFrame:
        """The table, now or at a snapshot, as a Polars LazyFrame."""
        if self.snapshot_id is None:
            return self._empty_frame()
        return pl.scan_iceberg(self._table, snapshot_id=snapshot_id)

    def scan_at(self, moment: datetime) -> pl.LazyFrame | None:
        """The table at a moment, by the newest retained snapshot that is not younger; None if that has been expired."""
        snapshot_id = self.snapshot_at(moment)
        if snapshot_id is None:
            return None if self.kept_since is not None else self._empty_frame()
        return self.scan(snapshot_id)

    def _empty_frame(self) -> pl.LazyFrame:
        return to_frame(self._table.schema().as_arrow().empty_table()).lazy()

    def file_paths(self) -> list[str]:
        """Locations of the current data files."""
        return [task.file.file_path for task in self.tasks()]

    def missing_files(self) -> list[str]:
        """Data files of the current snapshot that the store does not have."""
        return [path for path in self.file_paths() if not self._table.io.new_input(path).exists()]

    def tasks(self) -> list[FileScanTask]:
        """The current data files, as PyIceberg plans them."""
        if self.snapshot_id is None:
            return []
        with translate_store_errors(f"planning table {self.name}"):
            return list(self._table.scan().plan_files())

    def file_ranges(self, column: str, most_rows: int | None = None) -> list[FileRange]:
        """Data files with the bounds of an integer column, in no particular order.

        A file of more than `most_rows` rows is returned as its row groups, each with its own bounds.
        """
        field = self._table.schema().find_field(column)

        def bound(bounds: Mapping[int, bytes] | None) -> int | None:
            raw = (bounds or {}).get(field.field_id)
            return None if raw is None else int(from_bytes(field.field_type, raw))  # type: ignore[arg-type]

        ranges = []
        for file in (task.file for task in self.tasks()):
            lower, upper = bound(file.lower_bounds), bound(file.upper_bounds)
            whole = FileRange(file.file_path, file.record_count, lower, upper)
            is_large = most_rows is not None and file.record_count > most_rows and lower != upper
            ranges += self._row_groups(whole, column) if is_large else [whole]
        return ranges

    def _row_groups(self, file: FileRange, column: str) -> list[FileRange]:
        with translate_store_errors(f"reading table {self.name}"), self._table.io.new_input(file.path).open() as stream:
            footer = pq.ParquetFile(stream).metadata
        if column not in footer.schema.names:
            return [file]
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        index = footer.schema.names.index(column)
        statistics = [group.column(index).statistics for group in groups]
        if not all(bounds is not None and bounds.has_min_max for bounds in statistics):
            return [file]
        return [
            FileRange(file.path, group.num_rows, bounds.min, bounds.max)
            for group, bounds in zip(groups, statistics, strict=True)
        ]
