"""One writer a home: an advisory lock on a file that names its holder; it goes with the process, however that ends.

A release has a lock of its own (`release`), since it may be asked for while `run --follow` writes the home.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import AlreadyRunningError, StoreUnavailableError


@contextmanager
def home_lock(home: Path, name: str = "run") -> Iterator[None]:
    """Hold the home's lock of that name. Raises AlreadyRunningError naming the pid that holds it."""
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
                f"another process (pid {holder}) writes the lakehouse in {home}. Stop it first, or give this one a "
                "home of its own by ANIMEVERSE_HOME."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
