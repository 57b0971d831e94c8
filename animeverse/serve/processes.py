"""Child processes, each in a session of its own and with its output in a file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.errors import PermanentError

_TAIL = 15  # lines of a failed process's output in the error message
_EARLY_EXIT = 10.0  # seconds after the start
_MAX_EARLY_EXITS = 3  # in a row, after which a process is not restarted


class Child:
    """A process that can be restarted. Ctrl-C in the terminal does not reach it; stop it with `end` or `kill`."""

    def __init__(self, name: str, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._cwd, self._env = list(command), cwd, dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at, self._early_exits = 0.0, 0
        log.write_bytes(b"")

    @property
    def pid(self) -> int | None:
        """Return the process id, or None before the start."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    def exit_code(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll() if self._process is not None else None

    def restart_if_ended(self) -> bool:
        """Restart the process if it has ended, and return whether it had.

        Raises PermanentError after three exits in a row that came within 10 s of the start.
        """
        if self.exit_code() is None:
            return False
        is_early = time.monotonic() - self._started_at < _EARLY_EXIT
        self._early_exits = self._early_exits + 1 if is_early else 0
        if self._early_exits >= _MAX_EARLY_EXITS:
            raise self.failure()
        self.start()
        return True

    def failure(self) -> PermanentError:
        """Return an error with the exit code and the end of the output."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        tail = "\n".join(f"  {line}" for line in lines if line.strip())
        return PermanentError(f"{self.name} ended with {self.exit_code()}; the end of {self.log}:\n{tail}")

    def end(self, timeout: float) -> None:
        """Send SIGTERM, and SIGKILL if the process does not end within `timeout` seconds."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the whole session."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            signal_group(self._process.pid, number)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group. Does nothing if the group has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def descendants(pid: int | None, *marks: str) -> list[int]:
    """Return the ids of the processes that a process has started.

    On Linux these are all processes whose environment has the entries `marks`, even if their parent has ended. A mark
    such as `NAME=` matches any value. On other systems they are the children of `pid`.
    """
    if not Path("/proc/self/environ").exists():
        command = ["ps", "-axo", "pid=,ppid="]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        lines = [line.split() for line in listed.stdout.splitlines()]
        return [int(child) for child, parent in lines if int(parent) == pid]
    pids = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended, or belongs to another user
            if process.name.isdecimal():
                entries = (process / "environ").read_text(errors="replace").split("\0")
                names = {f"{entry.partition('=')[0]}=" for entry in entries}
                if names.union(entries).issuperset(marks):
                    pids.append(int(process.name))
    return pids
