"""Who writes the home next: how a writer that runs for long lets others in, without anybody having to stop it.

Beside the home's lock there are two doors and a turn, locks as well, so that nobody can forget to leave one:

    successor   somebody who goes on with the same work waits here: the writer ends for good
    guest       somebody with work of its own is here: the writer leaves the home alone until the guest has gone
    turn        the writer's, from before it leaves the guests' door open until its work has ended: who is let in then
                cannot meet a writer that was about to take the home's lock

A writer that does not look at the doors (`animeverse run --follow`) is waited for a while and left in peace.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipelines.errors import AlreadyRunningError
from pipelines.home_lock import home_lock

RUN, SUCCESSOR, GUEST, TURN = "run", "successor", "guest", "turn"
_LOOK_EVERY = 0.05  # seconds


class Ended(StrEnum):
    """Why a writer ended."""

    DONE = "its work was done"
    STOPPED = "it was told to stop"
    TIME = "its time was over"
    SUCCESSOR = "its successor was at the door"


@contextmanager
def exclusive_access(home: Path, *, patience: float, stop: threading.Event) -> Iterator[None]:
    """The home without a writer that looks at the doors, for as long as the block lasts. The block takes the home's
    lock itself where it writes, since there are writers that don't look.

    Raises AlreadyRunningError naming the pid that is there when the home is not free within `patience` seconds, or
    when `stop` is set.
    """
    deadline = time.monotonic() + patience
    with _taken(home, deadline, stop, (GUEST,)):
        _taken(home, deadline, stop, (TURN, RUN)).close()
        yield


def run_until_succeeded(
    home: Path, work: Callable[[threading.Event], object], *, seconds: float, patience: float, stop: threading.Event
) -> Ended:
    """Call `work` once whoever writes the home has left, and again after each guest, until it ends by itself, the
    time is over, a successor is at the door, or `stop` is set.

    `work` gets an event that tells it to end, and takes the home's lock itself. Raises as `exclusive_access` does.
    """
    deadline = time.monotonic() + patience
    with _taken(home, deadline, stop, (SUCCESSOR,)):
        turn = _own_turn(home, deadline, stop)
    over = time.monotonic() + seconds
    while True:
        with _doorkeeper(home, over, stop) as keeper, turn:
            try:
                work(keeper.halt)
            except AlreadyRunningError:
                keeper.halt.set()  # somebody was quicker
            if keeper.ended is not None or not keeper.halt.is_set():
                return keeper.ended or Ended.DONE
        with _doorkeeper(home, over, stop, ignore_guests=True) as keeper:
            try:
                turn = _own_turn(home, over, keeper.halt)
            except AlreadyRunningError:
                return keeper.ended or Ended.TIME


class _Lock:
    """A look at one of the home's locks, as cheap as it gets: it is asked twenty times a second."""

    def __init__(self, home: Path, name: str) -> None:
        self._handle = os.open(home / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)

    def is_held(self) -> bool:
        """Whether somebody has it. Who asks has it for some microseconds: whoever wants it tries again."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


@dataclass(slots=True)
class _Keeper:
    halt: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None  # None and halted: a guest is there


@contextmanager
def _doorkeeper(home: Path, over: float, stop: threading.Event, *, ignore_guests: bool = False) -> Iterator[_Keeper]:
    """Looks at the doors while the block runs."""
    keeper, gone = _Keeper(), threading.Event()
    successor, guest = _Lock(home, SUCCESSOR), _Lock(home, GUEST)

    def look() -> None:
        while not gone.wait(_LOOK_EVERY):
            if stop.is_set():
                keeper.ended = Ended.STOPPED
            elif time.monotonic() >= over:
                keeper.ended = Ended.TIME
            elif successor.is_held():
                keeper.ended = Ended.SUCCESSOR
            elif ignore_guests or not guest.is_held():
                continue
            keeper.halt.set()
            return

    thread = threading.Thread(target=look, name="doorkeeper", daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        gone.set()
        thread.join()
        successor.close()
        guest.close()


def _own_turn(home: Path, deadline: float, stop: threading.Event) -> ExitStack:
    """The turn, once no guest is there and nobody writes. Raises AlreadyRunningError."""
    with _taken(home, deadline, stop, (GUEST, RUN)):  # the door first: while a guest is there its lock is not touched
        return _taken(home, deadline, stop, (TURN,))


def _taken(home: Path, deadline: float, stop: threading.Event, names: Sequence[str]) -> ExitStack:
    """These locks, once nobody has any of them, taken in that order. Raises AlreadyRunningError."""
    while True:
        with ExitStack() as held:
            try:
                for name in names:
                    held.enter_context(home_lock(home, name))
                return held.pop_all()
            except AlreadyRunningError:
                if stop.is_set() or time.monotonic() >= deadline:
                    raise
        stop.wait(_LOOK_EVERY)
