"""Compaction of one table: rows of small data files written anew, sorted, in fewer files. Memory is bounded.

Three steps, so that the long one needs no hold on the table: `file_lines` says what there is, `write_anew` writes, and
`LakeTable.replace_files` commits. Appends in between do no harm; another compaction in between makes the last one fail.
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
from pyiceberg.expressions.visitors import _InclusiveMetricsEvaluator
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask
from pyiceberg.types import IntegerType, LongType, TimestampType, TimestamptzType

from pipelines.errors import PermanentError
from pipelines.fault_points import fault_point
from pipelines.lake.commits import literal, translate_store_errors
from pipelines.lake.compaction import FileLine, Group
from pipelines.lake.data_files import DataFileWriter
from pipelines.lake.reader import TableReader

_SLICE_ROWS, _SLICE_BYTES = 100_000, 16 << 20  # of rows sorted at a time; bytes as they lie in the files
_NUMBERS = (IntegerType, LongType, TimestampType, TimestamptzType)

_at_least: Any = GreaterThanOrEqual
_below: Any = LessThan


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Data files that hold exactly the rows of others; nothing is committed yet."""

    old: tuple[DataFile, ...]
    new: tuple[DataFile, ...]


def file_lines(table: TableReader, first_by: str | None) -> list[FileLine]:
    """The table's data files, for `compaction`; `first_by` is the column that the rows are sorted by first."""
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
    """The group's rows in new files, sorted by these columns; None (and nothing left behind) when `stopped` says so.

    Raises PermanentError where the new files don't hold as many rows as the old ones say; they are deleted then.
    """
    wanted = {file.path for file in group.files}
    tasks = sorted(
        (task for task in table.tasks() if task.file.file_path in wanted),
        key=lambda task: [file.path for file in group.files].index(task.file.file_path),
    )
    if len(tasks) != len(wanted):
        return None  # replaced meanwhile
    old = tuple(task.file for task in tasks)
    out = _Writer(table, old[0], -(-group.rows // group.into))
    try:
        with translate_store_errors(f"compacting table {table.name}"):
            for rows in _sorted_slices(table, tasks, group, sort):
                if stopped():
                    out.abandon()
                    return None
                out.write(rows)
            new = out.done()
            written = sum(_rows_in(table, file) for file in new)
    except BaseException:
        out.abandon()
        raise
    if written != sum(file.record_count for file in old):
        discard(table.iceberg.io, new)
        raise PermanentError(
            f"compacting {table.name}: {len(old)} files of {group.partition} hold {group.rows} rows, but {written} "
            "were read. Nothing was changed; `animeverse verify` says which file is off."
        )
    fault_point(f"{table.name}.written_anew")
    return Rewrite(old, tuple(new))


def discard(io: FileIO, files: Sequence[DataFile]) -> None:
    """Delete files that nothing refers to."""
    for file in files:
        with suppress(OSError):
            io.delete(file.file_path)


def _rows_in(table: TableReader, file: DataFile) -> int:
    with table.iceberg.io.new_input(file.file_path).open() as stream:
        return int(pq.ParquetFile(stream).metadata.num_rows)


def _sorted_slices(
    table: TableReader, tasks: Sequence[FileScanTask], group: Group, sort: Sequence[str]
) -> Iterator[pa.Table]:
    """The rows in order, some 100,000 at a time: as many passes, each over the files whose bounds meet its range."""
    most = max(1, min(_SLICE_ROWS, group.rows * _SLICE_BYTES // max(1, group.size)))
    if not sort:
        for batch in table.read_files(tasks):
            yield pa.Table.from_batches([batch])
        return
    for where in _ranges(table, tasks, sort[0], most) if group.rows > most else [AlwaysTrue()]:
        meets = _InclusiveMetricsEvaluator(table.iceberg.schema(), where).eval
        batches = table.read_files([task for task in tasks if meets(task.file)], where=where)
        pieces = [pa.Table.from_batches([batch]) for batch in batches if batch.num_rows]
        if pieces:
            rows = pa.concat_tables(pieces, promote_options="permissive")
            yield rows.sort_by([(column, "ascending") for column in sort])


def _ranges(table: TableReader, tasks: Sequence[FileScanTask], column: str, most: int) -> Iterator[BooleanExpression]:
    """Ranges of a column's values that cover them all, with about `most` rows each."""
    keys = pa.chunked_array([batch.column(0) for batch in table.read_files(tasks, [column])])
    ordered = keys.take(pc.sort_indices(keys))
    cuts = [literal(cut.as_py()) for cut in pc.unique(ordered.take(pa.array(range(most, len(keys), most), pa.int64())))]
    if not cuts:
        yield AlwaysTrue()
        return
    yield _below(column, cuts[0])
    for low, high in pairwise(cuts):
        yield And(_at_least(column, low), _below(column, high))
    yield _at_least(column, cuts[-1])


class _Writer:
    """Data files of one table partition, each of about so many rows, beside a file that is there already."""

    def __init__(self, table: TableReader, like: DataFile, rows_a_file: int) -> None:
        self._table, self._like, self._rows_a_file = table.iceberg, like, rows_a_file
        self._writer: DataFileWriter | None = None
        self._rows = 0
        self.files: list[DataFile] = []

    def write(self, rows: pa.Table) -> None:
        """Add rows, in the table's schema."""
        start = 0
        while start < rows.num_rows:
            if self._writer is None:
                folder = self._like.file_path.rpartition("/")[0]
                path = f"{folder}/00000-{len(self.files)}-{uuid.uuid4()}.parquet"
                like, table = self._like, self._table
                self._writer = DataFileWriter(table.metadata, table.io, path, like.partition, like.spec_id)
                self._rows = 0
            piece = rows.slice(start, min(rows.num_rows - start, self._rows_a_file - self._rows))
            self._writer.write(piece.combine_chunks())
            start += piece.num_rows
            self._rows += piece.num_rows
            if self._rows >= self._rows_a_file:
                self._close()

    def _close(self) -> None:
        assert self._writer is not None
        self.files.append(self._writer.close())
        self._writer = None

    def abandon(self) -> None:
        """Delete all that was written."""
        if self._writer is not None:
            self._writer.abandon()
        discard(self._table.io, self.files)

    def done(self) -> list[DataFile]:
        """All files, the last one closed."""
        if self._writer is not None:
            self._close()
        return self.files
