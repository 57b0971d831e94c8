"""Rewrites the paths in Iceberg metadata, for a lake whose folder was moved or copied.

Iceberg metadata holds absolute paths: of the table, its manifest lists, manifests and data files. `relocated` writes
copies of a table's metadata in which every path below the old root is one below the new root. Snapshot ids, sequence
numbers and statistics stay the same, so checkpoints and the snapshots that gold reflects stay valid. No file is
changed or deleted. Data files are not opened.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fastavro

from pipelines.lake.commits import translate_store_errors

_FILE = "file://"


def local_path(location: str) -> Path:
    """The path of a `file:` location or of a plain path."""
    if location.startswith("file:///"):
        return Path(location.removeprefix(_FILE))
    return Path(unquote(location.removeprefix("file:"))) if location.startswith("file:") else Path(location)


def root_of(location: str, namespace: str, table: str) -> str | None:
    """The lake root of a table's location; None where the location does not end in namespace and table."""
    ending = f"/{namespace}/{table}"
    return location.removesuffix(ending) if location.endswith(ending) else None


def location_of(metadata_location: str) -> str:
    """The table's folder, by the location of its metadata file."""
    return metadata_location.rpartition("/metadata/")[0]


@dataclass(slots=True)
class Relocation:
    """Paths below `old` become paths below `new` (both `file://` locations).

    Manifests that tables share are rewritten once.
    """

    old: str
    new: str
    _manifests: dict[str, tuple[str, int]] = field(default_factory=dict)  # old path -> new path and length

    def moved(self, location: str) -> str:
        """The location under the new root; one outside of the old root stays as it is."""
        return self.new + location[len(self.old) :] if location.startswith(f"{self.old}/") else location

    def relocated(
        self, metadata_location: str, folder: Path | None = None, properties: dict[str, str] | None = None
    ) -> str:
        """Write the table's metadata with new paths; the location of the new metadata file.

        `metadata_location` is the old one. The files are written into `folder`, by default the table's own `metadata`
        folder under the new root. `properties` are set on the table. Raises StoreUnavailableError where a file cannot
        be read.
        """
        source = local_path(self.moved(metadata_location))
        with translate_store_errors(f"relocating {source}"):
            into = source.parent if folder is None else folder
            into.mkdir(parents=True, exist_ok=True)
            metadata = json.loads(source.read_bytes())
            self._rewrite(metadata, into)
            metadata["properties"] = {**metadata.get("properties", {}), **(properties or {})}
            number = int(source.name.split("-")[0]) + 1 if source.name.split("-")[0].isdigit() else 1
            target = into / f"{number:05d}-{uuid.uuid4()}.metadata.json"
            target.write_text(json.dumps(metadata))
        return f"{_FILE}{target}"

    def _rewrite(self, metadata: dict[str, Any], into: Path) -> None:
        metadata["location"] = self.moved(metadata["location"])
        for snapshot in metadata.get("snapshots", ()):
            snapshot["manifest-list"] = self._manifest_list(snapshot["manifest-list"], into)
        for entry in metadata.get("metadata-log", ()):
            entry["metadata-file"] = self.moved(entry["metadata-file"])
        for statistics in (*metadata.get("statistics", ()), *metadata.get("partition-statistics", ())):
            statistics["statistics-path"] = self.moved(statistics["statistics-path"])
        for name in ("write.data.path", "write.metadata.path"):
            if name in metadata.get("properties", {}):
                metadata["properties"][name] = self.moved(metadata["properties"][name])

    def _manifest_list(self, location: str, into: Path) -> str:
        records, header = _read(local_path(self.moved(location)))
        for record in records:
            record["manifest_path"], record["manifest_length"] = self._manifest(record["manifest_path"], into)
        return _write(into / f"snap-{uuid.uuid4()}.avro", records, header)[0]

    def _manifest(self, location: str, into: Path) -> tuple[str, int]:
        known = self._manifests.get(location)
        if known is None:
            entries, header = _read(local_path(self.moved(location)))
            for entry in entries:
                entry["data_file"]["file_path"] = self.moved(entry["data_file"]["file_path"])
            known = self._manifests[location] = _write(into / f"{uuid.uuid4()}-m0.avro", entries, header)
        return known


def with_own_paths(path: Path, namespace: str, table: str) -> str:
    """The location of the table's metadata with the paths of the folder it is in; a new file where they differ."""
    own = f"{_FILE}{path.parents[1]}"
    written = json.loads(path.read_bytes())["location"]
    old, new = (root_of(location, namespace, table) for location in (written, own))
    if old is None or new is None or local_path(old) == local_path(new):
        return f"{_FILE}{path}"
    return Relocation(old, new).relocated(f"{_FILE}{path}")


def _read(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        header = {
            "schema": reader.writer_schema,
            "codec": reader.codec,
            "metadata": {name: value for name, value in reader.metadata.items() if not name.startswith("avro.")},
        }
        return list(_records(reader)), header


def _records(reader: Any) -> Iterator[dict[str, Any]]:
    yield from reader


def _write(path: Path, records: list[dict[str, Any]], header: dict[str, Any]) -> tuple[str, int]:
    with path.open("wb") as file:
        fastavro.writer(file, header["schema"], records, codec=header["codec"], metadata=header["metadata"])
        return f"{_FILE}{path}", file.tell()
