"""Compaction of one table: writes the rows of small data files, sorted, to fewer files. Memory is bounded.

It has three steps, so that the long one does not hold the table: `file_lines` lists the files, `write_anew` writes new
ones and `LakeTable.replace_files` commits. Appends in between are safe; after another compaction in between the commit
fails.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThan
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask
from pyiceberg.types import IntegerType, LongType, TimestampType, TimestamptzType

from pipelines.errors import PermanentError
from pipelines.fault_points import fault_point
from pipelines.lake.commits import expression_literal, translate_store_errors
from pipelines.lake.compaction import FileLine, Group
from pipelines.lake.data_files import DataFileWriter
from pipelines.lake.pyiceberg_internals import file_filter
from pipelines.lake.reader import TableReader

_SLICE_ROWS, _SLICE_BYTES = 100_000, 16 << 20  # sorted at a time; bytes as stored in the files
_NUMBERS = (IntegerType, LongType, TimestampType, TimestamptzType)

_at_least: Any = GreaterThanOrEqual
_below: Any = LessThan


@dataclass(frozen=True, slots=True)
class Rewrite:
    """New data files that hold exactly the rows of old ones. Not committed."""

    old: tuple[DataFile, ...]
    new: tuple[DataFile, ...]


def file_lines(table: TableReader, first_by: str | None) -> list[FileLine]:
    """The table's data files, for `compaction`. `first_by` is the first sort column."""
    schema, spec = table.iceberg.schema(), table.iceberg.spec()
    field = schema.find_field(first_by) if first_by is not None else None

    def first(file: DataFile) -> int:
        raw = (file.lower_bounds or {}).get(field.field_id) if field is not None else None
        if raw is None or field is None or not isinstance(field.field_type, _NUMBERS):
            return 0
        return int(from_bytes(field.field_type, raw))

    return [
        FileLine(
            task.file.file_path,
            spec.partition_to_path(task.file.partition, schema),
            task.file.file_size_in_bytes,
            task.file.record_count,
            first(task.file),
        )
        for task in table.tasks()
        if not task.delete_files and task.file.spec_id == spec.spec_id
    ]


def write_anew(
    table: TableReader, group: Group, sort: Sequence[str], stopped: Callable[[], bool] = lambda: False
) -> Rewrite | None:
    """Write the group's rows, sorted by these columns, to new files.

    Returns None and leaves no files if `stopped` returns True or the old files have been replaced. Raises
    PermanentError and deletes the new files if their row count differs from that of the old ones.
    """
    paths = {file.path for file in group.files}
    tasks = sorted(
        (task for task in table.tasks() if task.file.file_path in paths),
        key=lambda task: [file.path for file in group.files].index(task.file.file_path),
    )
    if len(tasks) != len(paths):
        return None  # replaced by another compaction
    old = tuple(task.file for task in tasks)
    out = _Writer(table, old[0], -(-group.rows // group.into))
    try:
        with translate_store_errors(f"compacting table {table.name}"):
            for rows in _sorted_slices(table, tasks, group, sort):
                if stopped():
                    out.abort()
                    return None
                out.write(rows)
            new = out.close()
            written = sum(_rows_in(table, file) for file in new)
    except BaseException:
        out.abort()
        raise
    if written != sum(file.record_count for file in old):
        discard(table.iceberg.io, new)
        raise PermanentError(
            f"compacting {table.name}: {len(old)} files of {group.partition} hold {group.rows} rows, but {written} "
            "were read. Nothing was changed; `animeverse verify` names the file that is wrong."
        )
    fault_point(f"{table.name}.written_anew")
    return Rewrite(old, tuple(new))


def discard(io: FileIO, files: Sequence[DataFile]) -> None:
    """Delete files that were never committed."""
    for file in files:
        with suppress(OSError):
            io.delete(file.file_path)


def _rows_in(table: TableReader, file: DataFile) -> int:
    with table.iceberg.io.new_input(file.file_path).open() as stream:
        return int(pq.ParquetFile(stream).metadata.num_rows)


def _sorted_slices(
    table: TableReader, tasks: Sequence[FileScanTask], group: Group, sort: Sequence[str]
) -> Iterator[pa.Table]:
    """The rows in order, about 100,000 at a time. Each slice reads the files whose bounds overlap its range."""
    slice_rows = max(1, min(_SLICE_ROWS, group.rows * _SLICE_BYTES // max(1, group.size)))
    if not sort:
        for batch in table.read_files(tasks):
            yield pa.Table.from_batches([batch])
        return
    for where in _ranges(table, tasks, sort[0], slice_rows) if group.rows > slice_rows else [AlwaysTrue()]:
        may_match = file_filter(table.iceberg.schema(), where)
        batches = table.read_files([task for task in tasks if may_match(task.file)], where=where)
        pieces = [pa.Table.from_batches([batch]) for batch in batches if batch.num_rows]
        if pieces:
            rows = pa.concat_tables(pieces, promote_options="permissive")
            yield rows.sort_by([(column, "ascending") for column in sort])


def _ranges(
    table: TableReader, tasks: Sequence[FileScanTask], column: str, slice_rows: int
) -> Iterator[BooleanExpression]:
    """Ranges that cover all values of a column, with about `slice_rows` rows each."""
    keys = pa.chunked_array([batch.column(0) for batch in table.read_files(tasks, [column])])
    ordered = keys.take(pc.sort_indices(keys))
    indices = pa.array(range(slice_rows, len(keys), slice_rows), pa.int64())
    bounds = [expression_literal(bound.as_py()) for bound in pc.unique(ordered.take(indices))]
    if not bounds:
        yield AlwaysTrue()
        return
    yield _below(column, bounds[0])
    for low, high in pairwise(bounds):
        yield And(_at_least(column, low), _below(column, high))
    yield _at_least(column, bounds[-1])


class _Writer:
    """Writes files of `rows_per_file` rows, in the folder and table partition of an existing file."""

    def __init__(self, table: TableReader, like: DataFile, rows_per_file: int) -> None:
        self._table, self._like, self._rows_per_file = table.iceberg, like, rows_per_file
        self._writer: DataFileWriter | None = None
        self._rows = 0
        self.files: list[DataFile] = []

    def write(self, rows: pa.Table) -> None:
        """Append rows in the table's schema."""
        start = 0
        while start < rows.num_rows:
            if self._writer is None:
                folder = self._like.file_path.rpartition("/")[0]
                path = f"{folder}/00000-{len(self.files)}-{uuid.uuid4()}.parquet"
                like, table = self._like, self._table
                self._writer = DataFileWriter(table.metadata, table.io, path, like.partition, like.spec_id)
                self._rows = 0
            piece = rows.slice(start, min(rows.num_rows - start, self._rows_per_file - self._rows))
            self._writer.write(piece.combine_chunks())
            start += piece.num_rows
            self._rows += piece.num_rows
            if self._rows >= self._rows_per_file:
                self._close_file()

    def _close_file(self) -> None:
        assert self._writer is not None
        self.files.append(self._writer.close())
        self._writer = None

    def abort(self) -> None:
        """Delete all files."""
        if self._writer is not None:
            self._writer.abort()
        discard(self._table.io, self.files)

    def close(self) -> list[DataFile]:
        """Close the last file and return the entries of all files."""
        if self._writer is not None:
            self._close_file()
        return self.files
