"""Who writes a home next: a writer that looks at the doors, its successor, guests, and one that does not look."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import AlreadyRunningError
from pipelines.home_lock import home_lock
from pipelines.microbatch.handover import Ended, exclusive_access, run_until_succeeded


class Writer:
    """Writes a home in turns, in a thread, and notes when it does."""

    def __init__(self, home: Path, *, seconds: float = 30, patience: float = 5) -> None:
        self.home, self.turns, self.is_writing, self.result = home, 0, threading.Event(), list[object]()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(seconds, patience))
        self.thread.start()

    def work(self, halt: threading.Event) -> None:
        with home_lock(self.home):
            self.turns += 1
            self.is_writing.set()
            halt.wait()
            self.is_writing.clear()

    def _run(self, seconds: float, patience: float) -> None:
        try:
            self.result.append(
                run_until_succeeded(self.home, self.work, seconds=seconds, patience=patience, stop=self.stop),
            )
        except AlreadyRunningError as error:
            self.result.append(error)

    def ended(self) -> object:
        self.thread.join(10)
        return self.result[0]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[..., Writer]]:
    made = []

    def make(**options: float) -> Writer:
        made.append(Writer(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop.set()
        one.thread.join(10)


@contextmanager
def guest(home: Path, patience: float = 5) -> Iterator[None]:
    with exclusive_access(home, patience=patience, stop=threading.Event()):
        yield


def test_a_writer_ends_when_its_successor_is_at_the_door(writer: Callable[..., Writer]) -> None:
    first = writer()
    assert first.is_writing.wait(5)
    second = writer()
    assert first.ended() is Ended.SUCCESSOR
    assert second.is_writing.wait(1)


def test_of_many_successors_one_is_left(writer: Callable[..., Writer]) -> None:
    first = writer()
    assert first.is_writing.wait(5)
    others = [writer() for _ in range(4)]
    deadline = time.monotonic() + 10
    while sum(one.thread.is_alive() for one in others) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    while not any(one.is_writing.is_set() for one in others) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    assert [one.is_writing.is_set() for one in others].count(True) == 1
    assert {one.ended() for one in (first, *others) if not one.is_writing.is_set()} == {Ended.SUCCESSOR}


def test_a_writer_steps_aside_for_a_guest_and_goes_on(writer: Callable[..., Writer], tmp_path: Path) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    with guest(tmp_path):
        assert not one.is_writing.is_set()
        with home_lock(tmp_path):
            time.sleep(0.3)
        time.sleep(0.3)
        assert not one.is_writing.is_set()
    assert one.is_writing.wait(1)
    assert one.turns == 2


def test_a_successor_that_comes_while_a_guest_is_there_waits_and_takes_over(
    writer: Callable[..., Writer], tmp_path: Path
) -> None:
    first = writer()
    assert first.is_writing.wait(5)
    with guest(tmp_path):
        second = writer()
        assert first.ended() is Ended.SUCCESSOR
        time.sleep(0.3)
        assert not second.is_writing.is_set()
    assert second.is_writing.wait(1)


def test_a_writer_ends_when_its_time_is_over(writer: Callable[..., Writer]) -> None:
    assert writer(seconds=0.2).ended() is Ended.TIME


def test_a_writer_ends_when_told_to(writer: Callable[..., Writer]) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    one.stop.set()
    assert one.ended() is Ended.STOPPED


def test_work_that_ends_by_itself_ends_the_writer(tmp_path: Path) -> None:
    stop = threading.Event()
    assert run_until_succeeded(tmp_path, lambda halt: None, seconds=5, patience=1, stop=stop) is Ended.DONE


def test_a_writer_that_does_not_look_at_the_doors_is_waited_for_and_named(
    writer: Callable[..., Writer], tmp_path: Path
) -> None:
    with home_lock(tmp_path):
        with pytest.raises(AlreadyRunningError, match="pid"), guest(tmp_path, patience=0.2):
            pass
        assert isinstance(writer(patience=0.2).ended(), AlreadyRunningError)
        patient = writer(patience=5)
        time.sleep(0.3)
        assert not patient.is_writing.is_set()
    assert patient.is_writing.wait(1)


def test_a_guest_never_meets_a_writer_that_is_about_to_begin(tmp_path: Path) -> None:
    met, begun, stop = list[object](), threading.Event(), threading.Event()

    def work(halt: threading.Event) -> None:
        begun.set()
        time.sleep(0.3)  # before it takes the lock
        with home_lock(tmp_path):
            time.sleep(0.3)  # before it listens
            halt.wait()

    def write() -> None:
        met.append(run_until_succeeded(tmp_path, work, seconds=30, patience=5, stop=stop))

    one = threading.Thread(target=write)
    one.start()
    assert begun.wait(5)
    with guest(tmp_path):
        for _ in range(100):
            with home_lock(tmp_path):
                pass
            time.sleep(0.01)
    stop.set()
    one.join(10)
    assert met == [Ended.STOPPED]


def test_guests_come_one_after_the_other(writer: Callable[..., Writer], tmp_path: Path) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    inside, most = [0], [0]

    def visit() -> None:
        with guest(tmp_path):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.1)
            inside[0] -= 1

    guests = [threading.Thread(target=visit) for _ in range(4)]
    for thread in guests:
        thread.start()
    for thread in guests:
        thread.join(10)
    assert most == [1]
    assert one.is_writing.wait(2)
