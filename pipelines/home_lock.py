"""One writer for each home: an advisory lock on a file with the pid of its holder, released when the process ends.

A release uses the lock `release`, since it may run while `run --follow` writes to the home.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import AlreadyRunningError, StoreUnavailableError


@contextmanager
def home_lock(home: Path, name: str = "run") -> Iterator[None]:
    """Hold the home's lock of this name.

    Raises AlreadyRunningError naming the pid of the holder, StoreUnavailableError if the lock file cannot be written.
    """
    path = home / f"{name}.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be written: {error.strerror}. Check ANIMEVERSE_HOME.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"another process (pid {holder}) is writing to {home}. Stop it, or set ANIMEVERSE_HOME to another "
                "folder."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_locked(home: Path, name: str = "run") -> bool:
    """Whether a process holds the home's lock of this name. False if the lock file does not exist.

    Probing takes the lock briefly, so a concurrent acquirer must retry.
    """
    try:
        handle = os.open(home / f"{name}.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
