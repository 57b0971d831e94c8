"""Hand-over of the write lock: a writer that watches the locks, its successor, jobs with exclusive access, others."""

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
    """Writes a home in a thread and counts how often its work began."""

    def __init__(self, home: Path, *, seconds: float = 30, timeout: float = 5) -> None:
        self.home, self.calls, self.is_writing, self.result = home, 0, threading.Event(), list[object]()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(seconds, timeout))
        self.thread.start()

    def work(self, halt: threading.Event) -> None:
        with home_lock(self.home):
            self.calls += 1
            self.is_writing.set()
            halt.wait()
            self.is_writing.clear()

    def _run(self, seconds: float, timeout: float) -> None:
        try:
            self.result.append(
                run_until_succeeded(self.home, self.work, seconds=seconds, timeout=timeout, stop=self.stop),
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
def exclusive(home: Path, timeout: float = 5) -> Iterator[None]:
    with exclusive_access(home, timeout=timeout, stop=threading.Event()):
        yield


def test_a_writer_ends_when_a_successor_requests_the_lock(writer: Callable[..., Writer]) -> None:
    first = writer()
    assert first.is_writing.wait(5)
    second = writer()
    assert first.ended() is Ended.SUCCESSOR
    assert second.is_writing.wait(1)


def test_one_of_several_successors_writes_and_the_others_end(writer: Callable[..., Writer]) -> None:
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


def test_a_writer_pauses_for_exclusive_access_and_continues(writer: Callable[..., Writer], tmp_path: Path) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    with exclusive(tmp_path):
        assert not one.is_writing.is_set()
        with home_lock(tmp_path):
            time.sleep(0.3)
        time.sleep(0.3)
        assert not one.is_writing.is_set()
    assert one.is_writing.wait(1)
    assert one.calls == 2


def test_a_successor_starts_after_exclusive_access_ends(writer: Callable[..., Writer], tmp_path: Path) -> None:
    first = writer()
    assert first.is_writing.wait(5)
    with exclusive(tmp_path):
        second = writer()
        assert first.ended() is Ended.SUCCESSOR
        time.sleep(0.3)
        assert not second.is_writing.is_set()
    assert second.is_writing.wait(1)


def test_a_writer_ends_at_its_time_limit(writer: Callable[..., Writer]) -> None:
    assert writer(seconds=0.2).ended() is Ended.TIME


def test_a_writer_ends_when_it_is_stopped(writer: Callable[..., Writer]) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    one.stop.set()
    assert one.ended() is Ended.STOPPED


def test_work_that_ends_by_itself_ends_the_writer(tmp_path: Path) -> None:
    stop = threading.Event()
    assert run_until_succeeded(tmp_path, lambda halt: None, seconds=5, timeout=1, stop=stop) is Ended.DONE


def test_a_request_waits_for_a_writer_that_does_not_watch_the_locks_and_names_its_pid_on_timeout(
    writer: Callable[..., Writer], tmp_path: Path
) -> None:
    with home_lock(tmp_path):
        with pytest.raises(AlreadyRunningError, match="pid"), exclusive(tmp_path, timeout=0.2):
            pass
        assert isinstance(writer(timeout=0.2).ended(), AlreadyRunningError)
        waiting = writer(timeout=5)
        time.sleep(0.3)
        assert not waiting.is_writing.is_set()
    assert waiting.is_writing.wait(1)


def test_exclusive_access_never_meets_a_writer_that_is_about_to_begin(tmp_path: Path) -> None:
    results, begun, stop = list[object](), threading.Event(), threading.Event()

    def work(halt: threading.Event) -> None:
        begun.set()
        time.sleep(0.3)  # before it takes the lock
        with home_lock(tmp_path):
            time.sleep(0.3)  # before it sees requests
            halt.wait()

    def write() -> None:
        results.append(run_until_succeeded(tmp_path, work, seconds=30, timeout=5, stop=stop))

    one = threading.Thread(target=write)
    one.start()
    assert begun.wait(5)
    with exclusive(tmp_path):
        for _ in range(100):
            with home_lock(tmp_path):
                pass
            time.sleep(0.01)
    stop.set()
    one.join(10)
    assert results == [Ended.STOPPED]


def test_exclusive_access_is_granted_to_one_job_at_a_time(writer: Callable[..., Writer], tmp_path: Path) -> None:
    one = writer()
    assert one.is_writing.wait(5)
    inside, most = [0], [0]

    def access() -> None:
        with exclusive(tmp_path):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.1)
            inside[0] -= 1

    jobs = [threading.Thread(target=access) for _ in range(4)]
    for thread in jobs:
        thread.start()
    for thread in jobs:
        thread.join(10)
    assert most == [1]
    assert one.is_writing.wait(2)
