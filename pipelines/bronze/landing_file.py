"""A landing file held by one descriptor from the first look to the move. Source: R28."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from pipelines.bronze.landing_errors import FileChangedError, trouble
from pipelines.bronze.landing_open_files import is_open_for_writing

# Never through a link, never waiting for the other end of a pipe.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one content of a file from another without reading it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int  # a writer can set mtime back, but not this

    @classmethod
    def of(cls, found: os.stat_result) -> "FileState":
        """The state in the result of `stat`."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def same_content(self, other: "FileState") -> bool:
        """Whether no byte was written between the two; a rename changes ctime alone."""
        return (self.inode, self.size, self.mtime_ns) == (other.inode, other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as a look at the folder found it."""

    topic: str
    name: str
    state: FileState

    @property
    def path(self) -> str:
        """Its path below the home, for messages."""
        return f"landing/{self.topic}/{self.name}"


class LandingFile:
    """An open landing file. Reads, hashes and checks go through its descriptor, never through its name."""

    def __init__(self, seen: Sighting, folder: int) -> None:
        """Open the file that was seen, in the folder with this descriptor.

        Raises FileTroubleError, and FileChangedError where the name is of another file by now.
        """
        self.topic, self.name, self.path, self.state = seen.topic, seen.name, seen.path, seen.state
        self.sha256 = ""
        self.skip_lines = 0  # lines at its beginning that were ingested before the file grew
        try:
            self._descriptor = os.open(seen.name, _FLAGS, dir_fd=folder)
        except FileNotFoundError as error:
            raise FileChangedError("was removed") from error
        except OSError as error:
            raise trouble("opened", error) from error
        try:
            self.check_unchanged()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """The file itself; leaving the block closes it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def check_unchanged(self) -> None:
        """Raise FileChangedError unless the file is as it was seen: regular, of one link, of the same state."""
        found = self._stat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or FileState.of(found) != self.state:
            raise FileChangedError("changed while it was read")

    def current(self) -> FileState:
        """Its state now."""
        return FileState.of(self._stat())

    def _stat(self) -> os.stat_result:
        try:
            return os.fstat(self._descriptor)
        except OSError as error:
            raise trouble("looked at", error) from error

    def is_being_written(self) -> bool:
        """Whether a process has it open for writing, where the system can tell."""
        return is_open_for_writing(self._descriptor)

    def stream(self) -> IO[bytes]:
        """Its bytes from the beginning. Closing the stream leaves the descriptor open; use one stream at a time."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.fdopen(self._descriptor, "rb", buffering=_BLOCK, closefd=False)

    def identify(self, ingested: Mapping[int, str]) -> None:
        """Set `sha256`, and `skip_lines` where the file begins with content that was ingested: size -> SHA-256.

        Raises FileTroubleError, and FileChangedError where the file changed meanwhile.
        """
        sizes = sorted(size for size in ingested if 0 < size < self.state.size)
        hasher, lines, at = hashlib.sha256(), 0, 0
        for end in (*sizes, None):
            for block in self._blocks(at, end):
                hasher.update(block)
                lines += block.count(b"\n")
                at += len(block)
            if end is not None and at == end and hasher.hexdigest() == ingested[end]:
                self.skip_lines = lines
        self.sha256 = hasher.hexdigest()
        self.check_unchanged()

    def check_content(self) -> None:
        """Raise FileChangedError unless the descriptor gives the bytes that were identified."""
        self.check_unchanged()
        hasher = hashlib.sha256()
        for block in self._blocks(0, None):
            hasher.update(block)
        if hasher.hexdigest() != self.sha256:
            raise FileChangedError("changed while it was read")
        self.check_unchanged()

    def _blocks(self, start: int, end: int | None) -> "_Blocks":
        return _Blocks(self._descriptor, start, end)


class _Blocks:
    """The bytes of a descriptor between two offsets, in blocks. Raises FileTroubleError."""

    def __init__(self, descriptor: int, start: int, end: int | None) -> None:
        self._descriptor, self._at, self._end = descriptor, start, end

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        wanted = _BLOCK if self._end is None else min(_BLOCK, self._end - self._at)
        try:
            block = os.pread(self._descriptor, wanted, self._at) if wanted > 0 else b""
        except OSError as error:
            raise trouble("read", error) from error
        if not block:
            raise StopIteration
        self._at += len(block)
        return block
