"""Copying a table to another store and catalog: rows, schema, properties and the newest checkpoint.

How `animeverse migrate` copies, and why:

- The read position is not a property of the rows. It is in the summary of the newest snapshot with a checkpoint:
  bronze's offsets and log identity, silver's state and ledger, the progress of `ops` tables. A copy carries the newest
  checkpoint on, with the snapshot and time of its commit, as a compaction does.
- Data files are copied byte for byte. Writing the rows again would cost parsing and could change a value, and the
  column ids in the files must be the table's own. No catalog creates a table with given column ids: all number them
  again, and a column added by schema evolution would get another position. So the table's metadata is copied too,
  without snapshots.
- Snapshots are not copied, because each refers to its files by absolute paths through two layers of manifests. One
  snapshot with all files replaces them, so time travel starts again. Its id is that of the snapshot that last changed
  rows. Gold records this id, stays in the home and continues from it.
- A table is first assembled in a catalog of its own (`staging`, a local file) that points to the final file locations.
  It is then registered in the target catalog in one step, so the target has the whole table or none of it.
"""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from shutil import copyfileobj
from typing import Any

import numpy as np
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.io import FileIO, load_file_io
from pyiceberg.manifest import DataFile
from pyiceberg.serializers import ToOutputFile

from pipelines.errors import CommitConflictError, PermanentError
from pipelines.fault_points import fault_point
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.lake.commits import COMMIT, summary_of, transaction, translate_store_errors
from pipelines.lake.frames import to_frame
from pipelines.lake.pyiceberg_internals import set_snapshot_id, with_path
from pipelines.lake.reader import TableReader

_PARALLEL_FILES = 8
_BUFFER_BYTES = 8 << 20
_LOCATION_PROPERTIES = ("write.data.path", "write.metadata.path")  # would point back to the source


@dataclass(frozen=True, slots=True)
class Content:
    """A table's rows as a count and a digest. It does not depend on the order of rows or on their files."""

    rows: int
    digest: str


def content(table: TableReader) -> Content:
    """Read the whole table, batch by batch. The digest is the sum of the hashes of all rows."""
    rows, total = 0, 0
    for batch in table.read_streamed(sorted(table.columns)):
        frame = to_frame(batch)
        rows += len(frame)
        hashes = frame.select(sorted(frame.columns)).hash_rows(seed=11)
        total += int(hashes.to_numpy().sum(dtype=np.uint64))  # wraps around
    return Content(rows, f"{total % 2**64:016x}")


def stage(
    source: TableReader, staging: Lake, root: str, *, trust: bool = True, stopped: Callable[[], bool] = lambda: False
) -> LakeTable:
    """Copy the table's files below `root` and assemble the table in the catalog `staging`.

    With `trust`, files of the right size that an interrupted copy left are not copied again. Raises CommitConflictError
    if `stopped` returns True, PermanentError for tables with deletes or older partition specs, and
    StoreUnavailableError.
    """
    location = f"{root}/{source.name.replace('.', '/')}"
    io = load_file_io(dict(staging.properties), location)
    moved = dict(_moved_files(source, location))
    _copy(source, io, {old.file_path: new.file_path for old, new in moved.items()}, trust, stopped)
    fault_point(f"{source.name}.files_copied")
    old = source.iceberg.metadata
    no_history: dict[str, Any] = {
        "snapshots": [],
        "snapshot_log": [],
        "metadata_log": [],
        "statistics": [],
        "partition_statistics": [],
    }
    kept = {key: value for key, value in old.properties.items() if key not in _LOCATION_PROPERTIES}
    changed = {"location": location, "properties": kept, "current_snapshot_id": None, "refs": {}, **no_history}
    path = f"{location}/metadata/00000-{uuid.uuid4()}.metadata.json"
    with translate_store_errors(f"copying table {source.name}"):
        ToOutputFile.table_metadata(old.model_copy(update=changed), io.new_output(path))
        with suppress(NamespaceAlreadyExistsError):
            staging.catalog.create_namespace(source.name.split(".")[0])
        staged = staging.catalog.register_table(source.name, path)
        if source.snapshot_id is not None:
            changes = transaction(staged)
            summary = {**source.carried_checkpoint(), COMMIT: _copy_of(source)}
            with changes.update_snapshot(snapshot_properties=summary).fast_append() as append:
                if source.rows_snapshot_id:
                    set_snapshot_id(append, source.rows_snapshot_id)
                for file in moved.values():
                    append.append_data_file(file)
            changes.commit_transaction()
    return staging.table(source.name)


def _copy_of(source: TableReader) -> str:
    """The commit id of a copy: it names the copied snapshot."""
    return f"copy-of-{source.snapshot_id}"


def _moved_files(source: TableReader, location: str) -> Iterator[tuple[DataFile, DataFile]]:
    """Each data file with its entry at the new location."""
    base, spec = source.iceberg.metadata.location.rstrip("/"), source.iceberg.metadata.default_spec_id
    for task in source.tasks():
        if task.delete_files or task.file.spec_id != spec:
            raise PermanentError(
                f"{source.name}: {task.file.file_path} has delete files or an older partition spec, which "
                "another program wrote. Rewrite the table's files with that program, then migrate."
            )
        path = task.file.file_path
        inside = path.removeprefix(base + "/") if path.startswith(base + "/") else f"data/{path.rpartition('/')[2]}"
        yield task.file, with_path(task.file, f"{location}/{inside}")


def _copy(source: TableReader, io: FileIO, paths: dict[str, str], trust: bool, stopped: Callable[[], bool]) -> None:
    if len(set(paths.values())) != len(paths):
        raise PermanentError(f"{source.name}: two of its data files outside its folder have the same name")

    def copy_file(old: str, new: str) -> None:
        if stopped():
            return
        file, out = source.iceberg.io.new_input(old), io.new_output(new)
        if trust and out.exists() and len(out) == len(file):
            return
        with file.open() as read, out.create(overwrite=True) as write:
            copyfileobj(read, write, _BUFFER_BYTES)
        fault_point(f"{source.name}.file_copied")

    with translate_store_errors(f"copying files of {source.name}"), ThreadPoolExecutor(_PARALLEL_FILES) as pool:
        list(pool.map(copy_file, paths.keys(), paths.values()))
    if stopped():
        raise CommitConflictError("the migration was stopped; repeat the same command to continue")


def is_copy_of(found: LakeTable, source: TableReader) -> bool:
    """Whether the table is a copy of the source's current snapshot, without later commits."""
    current = found.iceberg.current_snapshot()
    if source.snapshot_id is None or current is None:
        return source.snapshot_id is None and current is None
    return summary_of(current).get(COMMIT) == _copy_of(source)


def has_origin(found: TableReader, source: TableReader) -> bool:
    """Whether the table was copied from this source at any time: a copy keeps the table's UUID."""
    return found.iceberg.metadata.table_uuid == source.iceberg.metadata.table_uuid


def publish(staged: LakeTable, target: Lake) -> LakeTable:
    """Register the staged table in the target catalog. Replaces an older copy that an unfinished migration left."""
    name = staged.name
    with translate_store_errors(f"registering table {name}"):
        with suppress(NamespaceAlreadyExistsError):
            target.catalog.create_namespace(name.split(".")[0])
        if target.find(name) is not None:
            target.catalog.drop_table(name)
        try:
            target.catalog.register_table(name, staged.iceberg.metadata_location)
        except TableAlreadyExistsError as error:
            raise CommitConflictError(f"another process created {name} in the target catalog") from error
    fault_point(f"{name}.published")
    found = target.table(name)
    if found.snapshot_id != staged.snapshot_id:
        raise PermanentError(
            f"{name}: expected snapshot {staged.snapshot_id} in the target catalog, found {found.snapshot_id}"
        )
    return found
