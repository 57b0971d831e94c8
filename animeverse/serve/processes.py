"""Processes that a command starts and looks after: each in a session of its own, with its output in a file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.errors import PermanentError

_TAIL = 15  # lines of its output that are shown of a process that failed
_QUICK = 10.0  # seconds: who dies sooner after its start than that,
_MOST_QUICK_DEATHS = 3  # so many times in a row, is not started again


class Child:
    """A process that is started again when it dies. A terminal's Ctrl-C does not reach it: `end` and `kill` do."""

    def __init__(self, name: str, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._cwd, self._env = list(command), cwd, dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at, self._quick_deaths = 0.0, 0
        log.write_bytes(b"")

    @property
    def pid(self) -> int | None:
        """Of the process, if it was started."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start it."""
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
        """None while it runs."""
        return self._process.poll() if self._process is not None else None

    def revive(self) -> bool:
        """Start it again if it died; whether it had. Raises PermanentError when it dies again and again."""
        if self.exit_code() is None:
            return False
        is_quick = time.monotonic() - self._started_at < _QUICK
        self._quick_deaths = self._quick_deaths + 1 if is_quick else 0
        if self._quick_deaths >= _MOST_QUICK_DEATHS:
            raise self.failed()
        self.start()
        return True

    def failed(self) -> PermanentError:
        """What there is to say of a process that ended when it should not."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        told = "\n".join(f"  {line}" for line in lines if line.strip())
        return PermanentError(f"{self.name} ended with {self.exit_code()}; the end of {self.log}:\n{told}")

    def end(self, patience: float) -> None:
        """SIGTERM, and SIGKILL when it has not ended within `patience` seconds."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, to all of its session that is left."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            signal_group(self._process.pid, number)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def descendants(pid: int | None, *marks: str) -> list[int]:
    """Processes that a process started; where the system tells, also those that outlived it: all whose environment
    has these entries. An entry without a value stands for any.
    """
    if not Path("/proc/self/environ").exists():
        command = ["ps", "-axo", "pid=,ppid="]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        lines = [line.split() for line in listed.stdout.splitlines()]
        return [int(child) for child, parent in lines if int(parent) == pid]
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            if entry.name.isdecimal():
                entries = (entry / "environ").read_text(errors="replace").split("\0")
                known = {*entries, *(f"{one.partition('=')[0]}=" for one in entries)}
                if known.issuperset(marks):
                    found.append(int(entry.name))
    return found
