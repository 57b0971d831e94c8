"""The list of landing files that were moved, beside the landing folder: what each was when it was read (R28).

An entry is written before its move, so that after a crash no unread file stays in `_done` unnoticed. Entries of the
last day are kept; `verify` compares `_done` with `ops.landing_files` whatever its age.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.bronze.landing_folder import REJECTED

KEPT = timedelta(days=1)
_SOON, _PATIENCE = 1.0, 0.2  # seconds to the first look; then a share of the time since the move


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that was read, and where it went: `_done`, `_rejected`, or empty where it stayed."""

    folder: str
    topic: str
    place: str  # its name there
    name: str  # its name in `landing/<topic>/`
    inode: int
    size: int
    mtime_ns: int
    sha256: str
    at: str


class MovedFiles:
    """The list, and when to look at each entry again: often at first, rarely later."""

    def __init__(self, path: Path, today: datetime, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._due: dict[Moved, tuple[float, float]] = {}  # entry -> (since when, when to look next)
        entries = list(_read(path))
        kept = [entry for entry in entries if datetime.fromisoformat(entry.at) > today - KEPT]
        if len(kept) < len(entries) // 2:
            _replace(path, kept)
        self._prefixes: dict[tuple[str, int], dict[int, str]] = {}
        for entry in kept:
            self._remember(entry, 0.0)

    def add(self, entry: Moved) -> None:
        """Note a move before it is made. Raises OSError."""
        with self._path.open("a", encoding="ascii") as file:
            file.write("\n" + json.dumps(asdict(entry)))  # a crash may have cut the line before
            file.flush()
            os.fsync(file.fileno())
        self._remember(entry, _SOON)

    def _remember(self, entry: Moved, wait: float) -> None:
        if entry.folder != REJECTED:
            self.ingested(entry.topic, entry.inode, entry.size, entry.sha256)
        if entry.folder:
            self._due[entry] = (self._now(), self._now() + wait)

    def ingested(self, topic: str, inode: int, size: int, sha256: str) -> None:
        """Note that this file was ingested when it had this size."""
        self._prefixes.setdefault((topic, inode), {})[size] = sha256

    def ingested_sizes(self, topic: str, inode: int) -> dict[int, str]:
        """Size -> SHA-256 of what was ingested of the file with this inode."""
        return self._prefixes.get((topic, inode), {})

    def due(self) -> list[Moved]:
        """Entries to look at now."""
        now = self._now()
        found = [entry for entry, (_, when) in self._due.items() if when <= now]
        for entry in found:
            since, _ = self._due[entry]
            self._due[entry] = (since, now + max(_SOON, (now - since) * _PATIENCE))
        return found

    def forget(self, entry: Moved) -> None:
        """Look at it no more."""
        self._due.pop(entry, None)


def _read(path: Path) -> Iterator[Moved]:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = Moved(**json.loads(line))
            datetime.fromisoformat(entry.at)
        except (ValueError, TypeError):
            continue  # the end of a line that a crash cut
        yield entry


def _replace(path: Path, entries: list[Moved]) -> None:
    beside = path.with_name(path.name + ".tmp")
    try:
        beside.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in entries), encoding="ascii")
        beside.replace(path)
    except OSError:
        return  # a longer list costs time only
