"""The landing folder `<home>/landing/<topic>/`: which files are complete, and where they are moved (R28)."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.contracts.registry import CONTRACTS

SETTLED_SECONDS = 2.0
_UNFINISHED = (".tmp", ".part")
_MAX_NAME_BYTES = 240  # of a moved file: with `-2` or `.reason` it stays below the 255 bytes of file systems


class Landing:
    """The landing folder of a home. Remembers sizes and times, to detect when a file has settled."""

    def __init__(self, root: Path, now: Callable[[], float] = time.time) -> None:
        self.root = root
        self._now = now
        self._seen: dict[Path, tuple[int, int, float]] = {}  # size, mtime in ns, unchanged since

    def settled(self, topics: Sequence[str]) -> tuple[list[tuple[str, Path]], bool]:
        """Files whose size and mtime have not changed for 2 s, oldest first, and whether others are still settling."""
        files: list[tuple[int, str, Path]] = []
        settling = False
        for topic in topics:
            folder = self.root / topic
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.name.startswith((".", "_")) or path.name.endswith(_UNFINISHED) or not path.is_file():
                    continue
                state, now = path.stat(), self._now()
                size, mtime, since = self._seen.get(path, (-1, -1, now))
                if (size, mtime) != (state.st_size, state.st_mtime_ns):
                    since = min(now, state.st_mtime) if state.st_mtime <= now else now
                    self._seen[path] = (state.st_size, state.st_mtime_ns, since)
                if now - since >= SETTLED_SECONDS:
                    files.append((state.st_mtime_ns, topic, path))
                else:
                    settling = True
        self._seen = {path: state for path, state in self._seen.items() if path.exists()}
        return [(topic, path) for _, topic, path in sorted(files)], settling

    def strays(self) -> list[str]:
        """Entries of the folder that belong to no topic and are therefore never read."""
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        return [name for name in names if name not in CONTRACTS and not name.startswith((".", "_"))]

    def done(self, topic: str, path: Path) -> Path:
        """Move an ingested file to `_done`. Returns its new path."""
        return self._move(path, self.root / "_done" / topic)

    def rejected(self, topic: str, path: Path, reason: str) -> Path:
        """Move an unreadable file to `_rejected`, with a `.reason` file beside it. Returns its new path."""
        moved = self._move(path, self.root / "_rejected" / topic)
        reason_file = moved.with_name(moved.name + ".reason")
        reason_file.write_text(reason + "\n", encoding="utf-8", errors="backslashreplace")
        return moved

    def _move(self, path: Path, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        stem = os.fsdecode(os.fsencode(path.stem)[: _MAX_NAME_BYTES - len(os.fsencode(path.suffix))])
        target, number = folder / f"{stem}{path.suffix}", 1
        while target.exists():
            number += 1
            target = folder / f"{stem}-{number}{path.suffix}"
        shutil.move(path, target)
        self._seen.pop(path, None)
        return target


def identity(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
