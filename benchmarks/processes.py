"""Measure a process from outside: wall time, CPU seconds, and the memory of the process and its children."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_EVERY = 0.05  # seconds between samples of memory
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_GRACE = 60.0  # seconds a process may take to end after SIGINT
ANIMEVERSE = (sys.executable, "-m", "animeverse")
PYTHON = (sys.executable, "-c")


class ProcessFailedError(RuntimeError):
    """A measured process failed. The message contains the end of its stderr."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Resources of a process from start to exit. `peak_bytes` is the resident memory of all its processes together."""

    began_at: float  # seconds since 1970
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str


class Running:
    """A process under measurement, with a thread that samples its memory."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._out = tempfile.TemporaryFile("w+", dir=folder)  # noqa: SIM115
        self._errors = tempfile.TemporaryFile("w+", dir=folder)  # noqa: SIM115
        self.command, self.began_at, self._began = command, time.time(), time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._errors, env=dict(environment), cwd=folder
        )
        self.pid, self.peak_bytes = self._process.pid, 0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY):
            self.peak_bytes = max(self.peak_bytes, sum(_resident(pid) for pid in _tree(self.pid)))

    def cpu_seconds(self) -> float:
        """Return user and system time of the process and its children so far."""
        return sum(_cpu(pid) for pid in _tree(self.pid))

    def check(self) -> None:
        """Raise ProcessFailedError if it has ended."""
        if self._process.poll() is not None:
            raise ProcessFailedError(f"{' '.join(self.command)} ended early: {self._stderr()}")

    def stop(self) -> Usage:
        """Send SIGINT, as Ctrl-C does, and wait."""
        self._process.send_signal(signal.SIGINT)
        return self.wait(_GRACE)

    def kill(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._ended.set()

    def wait(self, timeout: float | None = None) -> Usage:
        """Wait for its end and return its usage. Raises ProcessFailedError if it fails or does not end in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found, status, used = os.wait4(self.pid, 0 if deadline is None else os.WNOHANG)
            if found:
                break
            if deadline is not None and time.monotonic() > deadline:
                self.kill()
                raise ProcessFailedError(f"{' '.join(self.command)} did not end within {timeout:.0f} s")
            time.sleep(0.005)
        wall = time.perf_counter() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
        self._sampler.join()
        if self._process.returncode:
            raise ProcessFailedError(f"{' '.join(self.command)}: exit {self._process.returncode}: {self._stderr()}")
        self._out.seek(0)
        peak = max(self.peak_bytes, used.ru_maxrss * 1024)
        return Usage(self.began_at, wall, used.ru_utime + used.ru_stime, peak, self._out.read())

    def _stderr(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:]


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """Start the process and end it at the end of the block."""
    process = Running(command, environment, folder)
    try:
        yield process
    finally:
        process.kill()


def measured(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Usage:
    """Run the command to its end and return its usage."""
    with running(command, environment, folder) as process:
        return process.wait()


def environment(home: Path, log_url: str, **settings: str) -> dict[str, str]:
    """Return an environment with only these settings, in which all files are written to the home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANIMEVERSE_", "PREFECT_"))}
    own = {"ANIMEVERSE_HOME": str(home), "ANIMEVERSE_LOG_URL": log_url, "PREFECT_HOME": str(home / "prefect")}
    given = {f"ANIMEVERSE_{name.upper()}": value for name, value in settings.items()}
    return kept | own | given | {"PYTHONPATH": str(Path(__file__).parents[1]), "NO_COLOR": "1"}


def _tree(pid: int) -> list[int]:
    """Return the process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue  # the process has ended
    return found


def _resident(pid: int) -> int:
    """Return the resident bytes; shared pages count in each process. 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
