"""The check that `landing/_done` holds what was ingested. Source: R28."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.bronze.landing_errors import FileChangedError, FileTroubleError
from pipelines.bronze.landing_file import FileState, LandingFile, Sighting
from pipelines.bronze.landing_folder import DONE, LandingFolder
from pipelines.bronze.position import Position
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import bronze_name
from pipelines.lake.catalog import Lake
from pipelines.operations.check import MAX_SHOWN, Check


def landing_checks(home: Path, lake: Lake) -> Iterator[Check]:
    """Every file in `landing/_done/<topic>/` has the SHA-256 of a file that was ingested. Reads them all."""
    folder = LandingFolder(home / "landing")
    known, wrong, count = _ingested(lake), [], 0
    for topic in TOPICS:
        with suppress(FileNotFoundError, NotADirectoryError), folder.open_folder(DONE, topic) as descriptor:
            for entry in sorted(os.scandir(descriptor), key=lambda entry: entry.name):
                if not entry.is_file(follow_symlinks=False) or entry.name.startswith("."):
                    continue
                count += 1
                sha256 = _sha256(topic, entry.name, descriptor)
                if (topic, sha256) not in known:
                    wrong.append(f"{topic}/{entry.name}")
    if not wrong:
        yield Check("landing/_done: files", True, f"{count} files as they were ingested")
        return
    shown = ", ".join(wrong[:MAX_SHOWN]) + (f" and {len(wrong) - MAX_SHOWN:,} more" if len(wrong) > MAX_SHOWN else "")
    detail = f"changed after they were read, or never read: {shown}. Move them back to landing/<topic>/ to ingest them"
    yield Check("landing/_done: files", False, detail)


def _ingested(lake: Lake) -> set[tuple[str, str]]:
    found = set()
    if (table := lake.find("ops.landing_files")) is not None:
        rows = table.read(columns=["topic", "sha256"]).to_pylist()
        found = {(row["topic"], row["sha256"]) for row in rows}
    for topic in TOPICS:
        if (bronze := lake.find(bronze_name(topic))) is not None:
            found |= {(topic, entry["sha256"]) for entry in Position.of(bronze).landed}
    return found


def _sha256(topic: str, name: str, folder: int) -> str:
    """The SHA-256, or an empty text for a file that cannot be read as a whole."""
    try:
        found = FileState.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        with LandingFile(Sighting(topic, name, found), folder) as file:
            file.identify({})
            return file.sha256
    except (OSError, FileTroubleError, FileChangedError):
        return ""
