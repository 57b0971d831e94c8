"""The landing folder of a home: which files have settled, and what in it is never read. Source: R28.

Folders are opened without following links, and files are named relative to them, so that a name swapped for a link
leads nowhere.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.bronze.landing_errors import trouble
from pipelines.bronze.landing_file import FileState, Sighting
from pipelines.contracts.registry import TOPICS

SETTLED_SECONDS = 2.0
DONE, REJECTED = "_done", "_rejected"
NOT_READ = "is not read: "  # begins what is said of an ignored entry
LEAVING = ".leaving-"  # a file of another file system on its way out
_UNFINISHED = (".tmp", ".part")
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the folder found. Keys of `ignored` and `troubles` are paths below the home."""

    settled: list[Sighting] = field(default_factory=list)  # oldest first
    settling: list[Sighting] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)  # what is never read, and why
    troubles: dict[str, str] = field(default_factory=dict)  # what could not be looked at, and why


class LandingFolder:
    """Looks at the folder, and remembers what it saw: a file has settled when two looks saw the same state."""

    def __init__(self, root: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self._now = now
        self._seen: dict[tuple[str, str], tuple[FileState, float]] = {}

    def look(self, topics: Sequence[str]) -> Look:
        """All files of these topics, by whether two looks at least SETTLED_SECONDS apart saw the same state."""
        look = Look()
        before, self._seen = self._seen, {}
        look.ignored.update(_ignored_entries(self.root))
        if "landing" in look.ignored or not os.path.lexists(self.root):
            return look
        for topic in topics:
            try:
                with self.open_folder(topic) as folder:
                    for name in sorted(entry.name for entry in os.scandir(folder)):
                        self._look_at(topic, name, folder, before, look)
            except FileNotFoundError:
                continue
            except OSError as error:
                if f"landing/{topic}" not in look.ignored:
                    look.troubles[f"landing/{topic}"] = str(trouble("read", error))
        look.settled.sort(key=lambda seen: (seen.state.mtime_ns, seen.topic, seen.name))
        return look

    def _look_at(
        self, topic: str, name: str, folder: int, before: dict[tuple[str, str], tuple[FileState, float]], look: Look
    ) -> None:
        if _is_skipped(name):
            return
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            look.troubles[f"landing/{topic}/{name}"] = str(trouble("looked at", error))
            return
        if kind := _unread_kind(found):
            look.ignored[f"landing/{topic}/{name}"] = kind
            return
        state, now = FileState.of(found), self._now()
        seen = Sighting(topic, name, state)
        known, since = before.get((topic, name), (None, now))
        if known != state:
            since = now
        self._seen[topic, name] = (state, since)
        if now - since < SETTLED_SECONDS:
            look.settling.append(seen)
        elif found.st_nlink > 1:
            look.ignored[seen.path] = f"it has {found.st_nlink} links, expected a file of one"
        else:
            look.settled.append(seen)

    @contextmanager
    def open_folder(self, *names: str, make: bool = False) -> Iterator[int]:
        """The descriptor of a folder below the landing folder. Raises OSError, also for a link in its path."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=folder)
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def restore_leaving(self, topics: Sequence[str]) -> None:
        """Give files back their names that a crash left on their way out to another file system."""
        for topic in topics:
            with suppress(OSError), self.open_folder(topic) as folder:
                for name in [entry.name for entry in os.scandir(folder)]:
                    if name.startswith(LEAVING):
                        target = free_name(folder, name.removeprefix(LEAVING))
                        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=folder)


def free_name(folder: int, name: str, suffix: str = "", most: int = 240) -> str:
    """A name that the folder does not hold: `name`, with `suffix` or `-2`, `-3`, … before its extensions.

    It has at most `most` bytes, which leaves room for `.reason` below the 255 of a file system.
    """
    stem, extension = _split(name)
    number = 1
    while True:
        tail = suffix + (f"-{number}" if number > 1 else "")
        room = most - len(os.fsencode(tail + extension))
        found = os.fsdecode(os.fsencode(stem)[: max(1, room)]) + tail + extension
        try:
            os.stat(found, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return found
        number += 1


def _split(name: str) -> tuple[str, str]:
    path = Path(name)
    inner = Path(path.stem).suffix if path.suffix.lower() == ".gz" else ""
    extension = inner + path.suffix
    if len(os.fsencode(extension)) > 64:
        extension = ""
    return name[: len(name) - len(extension)], extension


def _is_skipped(name: str) -> bool:
    return name.startswith((".", "_")) or name.endswith(_UNFINISHED)


def _unread_kind(found: os.stat_result) -> str:
    """Why an entry is never read; empty for a regular file."""
    if stat.S_ISREG(found.st_mode):
        return ""
    if stat.S_ISDIR(found.st_mode):
        return "it is a folder, expected files"
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link, expected a file"
    return "it is no regular file"


def _ignored_entries(root: Path) -> dict[str, str]:
    """Entries beside the topics' folders, and topics that are no folder."""
    found: dict[str, str] = {}
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except FileNotFoundError:
        return {"landing": "it is a dangling link"} if root.is_symlink() else {}
    except NotADirectoryError:
        return {"landing": "it is no folder"} if os.path.lexists(root) else {}
    except OSError as error:
        return {"landing": str(trouble("read", error))}
    for entry in entries:
        with suppress(OSError):
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name in (DONE, REJECTED, *TOPICS):
                if not is_folder:
                    kind = "a symbolic link" if entry.is_symlink() else "a file"
                    found[f"landing/{entry.name}"] = f"it is {kind}, expected a folder"
            elif not entry.name.startswith((".", "_")):
                found[f"landing/{entry.name}"] = f"files go into landing/<topic>/, one of {', '.join(TOPICS)}"
    return found
