"""A table taken to another store and catalog as it stands: rows, schema, properties, and what its last commit said.

Why so (the choice of `animeverse migrate`):

- Where to read on is no property of the rows. It stands in the summary of the newest stamped snapshot: bronze's offsets
  with the log they belong to, an anchor's state and ledger, what `ops` tables have been fed. A copy has to bring the
  newest stamp along. That is what a compaction does, so the copy looks like one: the stamp, and who wrote it and when.
- Data files are copied byte for byte. Writing the rows anew would cost parsing and could change one; and the columns'
  ids in the files have to be the table's own. No catalog makes a table with given ids (all number them anew, and a
  column that came by evolution lies elsewhere then), so the table's metadata is copied, too, without the snapshots.
- Snapshots are not copied: each names its files by absolute paths, through two layers of manifests. One snapshot with
  all files takes their place, so time travel begins anew. It has the id of the snapshot that the rows came with, which
  gold says it reflects: so gold, which stays in the home, goes on, too.
- A table is put together in a catalog of its own (`staging`, a local file), whose files lie where they will stay. Then
  the real catalog is translate_store_errors of it in one step: there it is whole or not there.
"""

import copy
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from shutil import copyfileobj
from typing import Any

import numpy as np
import polars as pl
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.manifest import DataFile
from pyiceberg.serializers import ToOutputFile

from pipelines.errors import CommitConflictError, PermanentError
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.lake.commits import (
    CHECKPOINT_AT,
    CHECKPOINT_SNAPSHOT,
    COMMIT,
    KEY_PREFIX,
    summary_of,
    transaction,
    translate_store_errors,
)
from pipelines.lake.reader import TableReader

_AT_ONCE = 8  # files under way
_PIECE = 8 << 20  # bytes
_SOURCE_PLACES = ("write.data.path", "write.metadata.path")  # properties that would lead back to the source


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: two with the same rows, in whatever order and files, are equal."""

    rows: int
    digest: str


def content(table: TableReader) -> Content:
    """Read all of it, piece by piece. The digest is the sum of the rows' hashes: it knows no order."""
    rows, total = 0, 0
    for batch in table.read_streamed(sorted(table.columns)):
        frame = pl.DataFrame(pl.from_arrow(batch))
        rows += len(frame)
        hashes = frame.select(sorted(frame.columns)).hash_rows(seed=11)
        total += int(hashes.to_numpy().sum(dtype=np.uint64))  # wraps
    return Content(rows, f"{total % 2**64:016x}")


def stage(
    source: TableReader, staging: Lake, root: str, *, trust: bool = True, stopped: Callable[[], bool] = lambda: False
) -> LakeTable:
    """Copy the table's files below `root` and put the table together in the catalog `staging`.

    `trust` takes files of the right size that are there already, from a copy that was interrupted.
    """
    location = f"{root}/{source.name.replace('.', '/')}"
    io = load_file_io(dict(staging.properties), location)
    moved = dict(_moved(source, location))
    _copy(source, io, {old.file_path: new.file_path for old, new in moved.items()}, trust, stopped)
    fault_point(f"{source.name}.files_copied")
    old = source.iceberg.metadata
    nothing: dict[str, Any] = {
        "snapshots": [],
        "snapshot_log": [],
        "metadata_log": [],
        "statistics": [],
        "partition_statistics": [],
    }
    kept = {key: value for key, value in old.properties.items() if key not in _SOURCE_PLACES}
    changed = {"location": location, "properties": kept, "current_snapshot_id": None, "refs": {}, **nothing}
    path = f"{location}/metadata/00000-{uuid.uuid4()}.metadata.json"
    with translate_store_errors(f"copying table {source.name}"):
        ToOutputFile.table_metadata(old.model_copy(update=changed), io.new_output(path))
        with suppress(NamespaceAlreadyExistsError):
            staging.catalog.create_namespace(source.name.split(".")[0])
        staged = staging.catalog.register_table(source.name, path)
        if source.snapshot_id is not None:
            changes = transaction(staged)
            with changes.update_snapshot(snapshot_properties=_marks(source)).fast_append() as append:
                append._snapshot_id = source.rows_snapshot_id or append._snapshot_id
                for file in moved.values():
                    append.append_data_file(file)
            changes.commit_transaction()
    return staging.table(source.name)


def _marks(source: TableReader) -> dict[str, str]:
    """The stamp, carried on as a compaction does; and which snapshot this is a copy of."""
    marked = {KEY_PREFIX + key: value for key, value in source.checkpoint().items()} | {COMMIT: _copy_of(source)}
    if (stamped := source.checkpoint_commit()) is not None:
        marked |= {CHECKPOINT_SNAPSHOT: str(stamped[0]), CHECKPOINT_AT: stamped[1].isoformat()}
    return marked


def _copy_of(source: TableReader) -> str:
    return f"copy-of-{source.snapshot_id}"


def _moved(source: TableReader, location: str) -> Iterator[tuple[DataFile, DataFile]]:
    """Each data file, and the same where it will lie."""
    base, spec = source.iceberg.metadata.location.rstrip("/"), source.iceberg.metadata.default_spec_id
    for task in source.tasks():
        if task.delete_files or task.file.spec_id != spec:
            raise PermanentError(
                f"{source.name}: {task.file.file_path} has deletes beside it or is partitioned in an older way; "
                "another program wrote that. Have that program rewrite the table's files, then migrate."
            )
        path = task.file.file_path
        inside = path.removeprefix(base + "/") if path.startswith(base + "/") else f"data/{path.rpartition('/')[2]}"
        file = copy.copy(task.file)
        file._data = [*task.file._data]
        file[1] = f"{location}/{inside}"
        yield task.file, file


def _copy(source: TableReader, io: FileIO, paths: dict[str, str], trust: bool, stopped: Callable[[], bool]) -> None:
    if len(set(paths.values())) != len(paths):
        raise PermanentError(f"{source.name}: two of its data files outside its folder have the same name")

    def one(old: str, new: str) -> None:
        if stopped():
            return
        given, out = source.iceberg.io.new_input(old), io.new_output(new)
        if trust and out.exists() and len(out) == len(given):
            return
        with given.open() as read, out.create(overwrite=True) as write:
            copyfileobj(read, write, _PIECE)
        fault_point(f"{source.name}.file_copied")

    with translate_store_errors(f"copying files of {source.name}"), ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, paths.keys(), paths.values()))
    if stopped():
        raise CommitConflictError("the migration was stopped; the same command goes on from here")


def is_copy_of(found: LakeTable, source: TableReader) -> bool:
    """Whether the table is a copy of what the source is now, and nothing has happened to it since."""
    current = found.iceberg.current_snapshot()
    if source.snapshot_id is None or current is None:
        return source.snapshot_id is None and current is None
    return summary_of(current).get(COMMIT) == _copy_of(source)


def has_origin(found: TableReader, source: TableReader) -> bool:
    """Whether the table was ever copied from this source: a copy keeps the table's identity."""
    return found.iceberg.metadata.table_uuid == source.iceberg.metadata.table_uuid


def publish(staged: LakeTable, target: Lake) -> LakeTable:
    """Tell the target's catalog of the table, in the place of an older copy that an unfinished migration left."""
    name = staged.name
    with translate_store_errors(f"registering table {name}"):
        with suppress(NamespaceAlreadyExistsError):
            target.catalog.create_namespace(name.split(".")[0])
        if target.find(name) is not None:
            target.catalog.drop_table(name)
        try:
            target.catalog.register_table(name, staged.iceberg.metadata_location)
        except TableAlreadyExistsError as error:
            raise CommitConflictError(f"another process made {name} in the target meanwhile") from error
    fault_point(f"{name}.published")
    found = target.table(name)
    if found.snapshot_id != staged.snapshot_id:
        raise PermanentError(f"{name}: the target's catalog shows another snapshot than was registered")
    return found
