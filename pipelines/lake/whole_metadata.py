"""Whether a table's metadata file is whole: readable, and all files that its current snapshot names exist."""

import json
from pathlib import Path
from typing import Any

import fastavro

from pipelines.lake.relocation import local_path

_DELETED = 2  # status of a manifest entry


def fault_of(path: Path) -> str | None:
    """Why a local metadata file can't be used; None if it is whole.

    Where the lake was moved, files are looked for at the same place below this table's folder.
    """
    try:
        metadata = json.loads(path.read_bytes())
        old, new = local_path(metadata["location"]), path.parents[1]
        current = metadata.get("current-snapshot-id")
        for snapshot in (found for found in metadata.get("snapshots", ()) if found["snapshot-id"] == current):
            for manifest in _records(_here(snapshot["manifest-list"], old, new)):
                for entry in _records(_here(manifest["manifest_path"], old, new)):
                    data = _here(entry["data_file"]["file_path"], old, new)
                    if entry["status"] != _DELETED and data.stat().st_size != entry["data_file"]["file_size_in_bytes"]:
                        return f"{data} has another size than when it was committed"
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _here(location: str, old: Path, new: Path) -> Path:
    path = local_path(location)
    return new / path.relative_to(old) if path.is_relative_to(old) else path


def _records(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        records: Any = fastavro.reader(file)
        return list(records)
