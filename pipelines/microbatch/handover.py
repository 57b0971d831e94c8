"""Hand-over of the home's write lock between long-running writers and one-off jobs.

Four lock files in the home take part. As locks, all are released when their process ends:

    run         held by the process that writes the home
    successor   held by a process that waits to continue the same work: the current writer ends
    guest       held by a job that requests exclusive access: the writer pauses until the job releases it
    turn        held by a writer from before it releases `guest` until its work has ended: a job that then gets `guest`
                waits for `turn`, so it never meets a writer that is about to take `run`

A writer that does not watch these locks (`animeverse run --follow`) is never interrupted: requests time out.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipelines.errors import AlreadyRunningError
from pipelines.home_lock import home_lock, is_locked

RUN, SUCCESSOR, GUEST, TURN = "run", "successor", "guest", "turn"
_POLL_INTERVAL = 0.05  # seconds


class Ended(StrEnum):
    """Why a writer ended."""

    DONE = "its work was done"
    STOPPED = "it was stopped"
    TIME = "its time limit was reached"
    SUCCESSOR = "its successor requested the lock"


@contextmanager
def exclusive_access(home: Path, *, timeout: float, stop: threading.Event) -> Iterator[None]:
    """Keep writers that watch the locks away from the home while the block runs.

    A block that writes takes the home's lock itself, since other writers do not watch the locks. Raises
    AlreadyRunningError naming the pid of the holder if access is not free within `timeout` seconds, or when `stop` is
    set.
    """
    deadline = time.monotonic() + timeout
    with _acquire(home, deadline, stop, (GUEST,)):
        _acquire(home, deadline, stop, (TURN, RUN)).close()
        yield


def run_until_succeeded(
    home: Path, work: Callable[[threading.Event], object], *, seconds: float, timeout: float, stop: threading.Event
) -> Ended:
    """Call `work` once the current writer has ended, and again after each job with exclusive access.

    Returns when `work` ends by itself, after `seconds`, when a successor requests the lock, or when `stop` is set.
    `work` takes the home's lock itself and ends when the event it gets is set. Raises as `exclusive_access` does.
    """
    deadline = time.monotonic() + timeout
    with _acquire(home, deadline, stop, (SUCCESSOR,)):
        turn = _acquire_turn(home, deadline, stop)
    ends_at = time.monotonic() + seconds
    while True:
        with _watch(home, ends_at, stop) as requests, turn:
            try:
                work(requests.halt)
            except AlreadyRunningError:
                requests.halt.set()  # another writer took the home's lock first
            if requests.ended is not None or not requests.halt.is_set():
                return requests.ended or Ended.DONE
        with _watch(home, ends_at, stop, ignore_guests=True) as requests:
            try:
                turn = _acquire_turn(home, ends_at, requests.halt)
            except AlreadyRunningError:
                return requests.ended or Ended.TIME


@dataclass(slots=True)
class _Requests:
    halt: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None  # None while `halt` is set: a job requests exclusive access


@contextmanager
def _watch(home: Path, ends_at: float, stop: threading.Event, *, ignore_guests: bool = False) -> Iterator[_Requests]:
    """Watch the locks, the time and `stop` while the block runs."""
    requests, block_ended = _Requests(), threading.Event()

    def watch() -> None:
        while not block_ended.wait(_POLL_INTERVAL):
            if stop.is_set():
                requests.ended = Ended.STOPPED
            elif time.monotonic() >= ends_at:
                requests.ended = Ended.TIME
            elif is_locked(home, SUCCESSOR):
                requests.ended = Ended.SUCCESSOR
            elif ignore_guests or not is_locked(home, GUEST):
                continue
            requests.halt.set()
            return

    thread = threading.Thread(target=watch, name="handover", daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        block_ended.set()
        thread.join()


def _acquire_turn(home: Path, deadline: float, stop: threading.Event) -> ExitStack:
    """The `turn` lock, once no job has exclusive access and no process writes. Raises AlreadyRunningError."""
    with _acquire(home, deadline, stop, (GUEST, RUN)):  # `guest` first: `run` is not probed while a job has access
        return _acquire(home, deadline, stop, (TURN,))


def _acquire(home: Path, deadline: float, stop: threading.Event, names: Sequence[str]) -> ExitStack:
    """Wait until all these locks are free and take them in this order. Raises AlreadyRunningError."""
    while True:
        with ExitStack() as held:
            try:
                for name in names:
                    held.enter_context(home_lock(home, name))
                return held.pop_all()
            except AlreadyRunningError:
                if stop.is_set() or time.monotonic() >= deadline:
                    raise
        stop.wait(_POLL_INTERVAL)
