"""Whether a process has a file open for writing, as far as the system can tell."""

import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path


def is_open_for_writing(descriptor: int) -> bool:
    """True if a process holds the file open for writing. False if none does, or if the system does not say.

    A read lease is granted only while no process on this machine has the file open for writing; it needs the file's
    owner or CAP_LEASE. Otherwise the descriptors of the processes visible to this user are searched.
    """
    leased = _by_lease(descriptor)
    return _by_descriptors(descriptor) if leased is None else leased


def _by_lease(descriptor: int) -> bool | None:
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    try:
        # A writer that opens the file before the lease is given up causes a signal; SIGIO, the default, would kill.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _by_descriptors(descriptor: int) -> bool:
    wanted = os.fstat(descriptor)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError), os.scandir(process / "fd") as links:  # unless of another user, or ended
            for link in links:
                with suppress(OSError):
                    if os.path.samestat(wanted, os.stat(link.path)) and _is_writable(process, link.name):  # noqa: PTH116
                        return True
    return False


def _is_writable(process: Path, number: str) -> bool:
    for line in (process / "fdinfo" / number).read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "flags":
            return int(value, 8) & os.O_ACCMODE != os.O_RDONLY
    return False
