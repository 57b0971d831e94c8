"""Moves of landing files: to `_done`, to `_rejected`, and back when they changed after they were read. Source: R28."""

import errno
import os
import shutil
from contextlib import suppress

from pipelines.bronze.landing_errors import FileChangedError, FileTroubleError, trouble
from pipelines.bronze.landing_file import FileState, LandingFile, Sighting
from pipelines.bronze.landing_folder import DONE, LEAVING, REJECTED, LandingFolder, free_name
from pipelines.bronze.landing_moved import Moved, MovedFiles
from pipelines.clock import utc_now
from pipelines.fault_points import fault_point

_AGAIN = "-again"  # in the name of a file that comes back
_GREW = "changed after it was read: its further lines are ingested as a new file"


class LandingMoves:
    """Moves files by rename, each noted before it is made."""

    def __init__(self, folder: LandingFolder, moved: MovedFiles) -> None:
        self._folder = folder
        self._moved = moved

    def done(self, file: LandingFile) -> None:
        """Move an ingested file to `_done`. Raises FileTroubleError; FileChangedError where it must be read again."""
        self._move(file, DONE)

    def rejected(self, file: LandingFile, reason: str) -> str:
        """Move an unreadable file to `_rejected` with a `.reason` beside it; its new path. Raises as `done`."""
        place = self._move(file, REJECTED)
        with suppress(OSError), self._folder.open_folder(REJECTED, file.topic) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(f"{place}.reason", flags, 0o644, dir_fd=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as beside:
                beside.write(reason + "\n")
        return str(self._folder.root / REJECTED / file.topic / place)

    def _move(self, file: LandingFile, to: str) -> str:
        try:
            with (
                self._folder.open_folder(file.topic) as source,
                self._folder.open_folder(to, file.topic, make=True) as target,
            ):
                if not file.current().same_content(file.state):
                    self._moved.add(_entry(file, "" if to == DONE else to, file.name))
                    raise FileChangedError(_GREW)
                _check_name(file, source, file.name)
                place = free_name(target, file.name)
                entry = _entry(file, to, place)
                self._moved.add(entry)
                fault_point("landing.move_noted")
                try:
                    os.rename(file.name, place, src_dir_fd=source, dst_dir_fd=target)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        self._moved.forget(entry)
                        raise
                    _copy(file, source, target, place)
                    return place
                fault_point("landing.moved")
                found = FileState.of(os.stat(place, dir_fd=target, follow_symlinks=False))
                if not found.same_content(file.state):
                    name = self._give_back(entry, source, target)
                    what = _GREW if found.inode == file.state.inode else "was replaced after it was read"
                    raise FileChangedError(f"{what}: landing/{file.topic}/{name}")
                return place
        except OSError as error:
            raise trouble(f"moved to landing/{to}", error) from error

    def _give_back(self, entry: Moved, source: int, target: int) -> str:
        """Move a file from `_done` or `_rejected` to its topic under a name that no producer uses."""
        name = free_name(source, entry.name, "" if _AGAIN in entry.name else _AGAIN)
        os.rename(entry.place, name, src_dir_fd=target, dst_dir_fd=source)
        with suppress(OSError):
            os.unlink(f"{entry.place}.reason", dir_fd=target)
        self._moved.forget(entry)
        return name

    def give_back_changed(self, known: set[tuple[str, str]]) -> list[str]:
        """Give back moved files whose content is no longer what was read; what to say. `known`: (topic, SHA-256)."""
        messages = []
        for entry in self._moved.due():
            try:
                with (
                    self._folder.open_folder(entry.folder, entry.topic) as target,
                    self._folder.open_folder(entry.topic) as source,
                ):
                    if self._is_as_read(entry, target, known):
                        continue
                    name = self._give_back(entry, source, target)
            except FileNotFoundError:
                self._moved.forget(entry)
            except (OSError, FileTroubleError) as error:
                self._moved.forget(entry)
                messages.append(f"landing/{entry.folder}/{entry.topic}/{entry.place} cannot be looked at: {error}")
            else:
                path = f"landing/{entry.folder}/{entry.topic}/{entry.place}"
                messages.append(f"{path} {_GREW}, landing/{entry.topic}/{name}")
        return messages

    def _is_as_read(self, entry: Moved, folder: int, known: set[tuple[str, str]]) -> bool:
        """Whether the moved file holds what was read. Raises OSError and FileTroubleError."""
        found = FileState.of(os.stat(entry.place, dir_fd=folder, follow_symlinks=False))
        if (found.inode, found.size, found.mtime_ns) == (entry.inode, entry.size, entry.mtime_ns):
            return True
        try:
            with LandingFile(Sighting(entry.topic, entry.place, found), folder) as file:
                file.identify({})
        except FileChangedError:
            return False
        if file.sha256 == entry.sha256 or (entry.topic, file.sha256) in known:
            self._moved.forget(entry)
            return True
        return False


def _entry(file: LandingFile, folder: str, place: str) -> Moved:
    state = file.state
    at = utc_now().isoformat()
    return Moved(folder, file.topic, place, file.name, state.inode, state.size, state.mtime_ns, file.sha256, at)


def _check_name(file: LandingFile, folder: int, name: str) -> None:
    """Raise FileChangedError unless the name is still that of the open file."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise FileChangedError("was removed after it was read") from None
    if (found.st_dev, found.st_ino) != (file.state.device, file.state.inode):
        raise FileChangedError("was replaced after it was read: the new file is read next")


def _copy(file: LandingFile, source: int, target: int, place: str) -> None:
    """Move a file to another file system: copy, check, then delete it under a name that no producer uses."""
    draft = f".{place}.tmp"[:250]
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=target)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o644, dir_fd=target)
    with os.fdopen(descriptor, "wb") as copy, file.stream() as content:
        shutil.copyfileobj(content, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    file.check_content()
    os.rename(draft, place, src_dir_fd=target, dst_dir_fd=target)
    leaving = f"{LEAVING}{file.name}"
    if len(os.fsencode(leaving)) > 255:
        leaving = os.fsdecode(os.fsencode(LEAVING + file.name)[-255:])
        leaving = LEAVING + leaving[len(LEAVING) :]
    os.rename(file.name, leaving, src_dir_fd=source, dst_dir_fd=source)
    fault_point("landing.leaving")
    found = FileState.of(os.stat(leaving, dir_fd=source, follow_symlinks=False))
    if not found.same_content(file.state):
        os.rename(leaving, free_name(source, file.name, _AGAIN), src_dir_fd=source, dst_dir_fd=source)
        raise FileChangedError("changed after it was read: it is read again")
    os.unlink(leaving, dir_fd=source)
