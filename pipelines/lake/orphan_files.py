"""Files in a table's folder that no snapshot needs: left by failed commits or by snapshot expiry."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow.fs as pafs
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestFile

from pipelines.lake.commits import translate_store_errors
from pipelines.lake.reader import TableReader


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file in the store; `path` without the scheme."""

    path: str
    size: int
    modified_at: datetime


def unreferenced(table: TableReader, before: datetime, expired: Collection[int] = ()) -> list[StoredFile]:
    """Files in the table's folder, last written before a time, that no retained snapshot needs. Sorted by path.

    Snapshots in `expired` count as removed. Files are listed before the table is read: a file that a commit adds in
    between is either not listed or already referenced. The age limit protects the files of a commit in progress.
    """
    with translate_store_errors(f"listing the files of {table.name}"):
        stored = list(_stored_files(table))
        table.reload()
        referenced = _referenced(table, expired)
    return sorted(
        (file for file in stored if file.modified_at < before and not _is_needed(file.path, referenced)),
        key=lambda file: file.path,
    )


def delete(table: TableReader, files: Iterable[StoredFile]) -> int:
    """Delete the files. Returns how many existed."""
    count = 0
    filesystem = _filesystem(table)
    with translate_store_errors(f"deleting files of {table.name}"):
        for file in files:
            try:
                filesystem.delete_file(file.path)
                count += 1
            except FileNotFoundError:
                continue
    return count


def _filesystem(table: TableReader) -> pafs.FileSystem:
    """The store of the table's folder."""
    io = table.iceberg.io
    arrow = io if isinstance(io, PyArrowFileIO) else PyArrowFileIO(io.properties)
    scheme, netloc, _ = arrow.parse_location(table.iceberg.metadata.location, io.properties)
    return arrow.fs_by_scheme(scheme, netloc)


def _path(table: TableReader, location: str) -> str:
    """The location's path in its store, without the scheme."""
    return PyArrowFileIO.parse_location(location, table.iceberg.io.properties)[2]


def _stored_files(table: TableReader) -> Iterable[StoredFile]:
    root = _path(table, table.iceberg.metadata.location)
    for info in _filesystem(table).get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True)):
        if info.type == pafs.FileType.File:
            yield StoredFile(info.path, info.size, info.mtime.astimezone(UTC))


def _referenced(table: TableReader, expired: Collection[int]) -> set[str]:
    """Paths of all files that the retained snapshots and the catalog refer to."""
    metadata, io = table.iceberg.metadata, table.iceberg.io
    locations = {table.iceberg.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    locations |= {statistics.statistics_path for statistics in metadata.statistics}
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        if snapshot.snapshot_id not in set(expired):
            locations.add(snapshot.manifest_list)
            manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(io)}
    for path, manifest in manifests.items():
        locations.add(path)
        locations |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(io, discard_deleted=True)}
    return {_path(table, location) for location in locations}


def _is_needed(path: str, referenced: Collection[str]) -> bool:
    """Hadoop catalogs keep a checksum `.x.crc` beside file x, and a `version-hint` that names the newest metadata."""
    folder, _, name = path.rpartition("/")
    subject = f"{folder}/{name[1:-4]}" if name.startswith(".") and name.endswith(".crc") else path
    return subject in referenced or subject.rpartition("/")[2].startswith("version-hint")
