"""A failure of the system at one landing file stops neither another file nor the log (R28; A8)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.bronze.landing_folder import LandingFolder
from pipelines.bronze.landing_problems import landing_problems
from pipelines.bronze.writer import BronzeWriter
from pipelines.config.settings import Settings
from pipelines.operations.doctor_landing import landing
from pipelines.operations.status import status
from tests.pipelines.bronze.landing_home import TOPIC, accepted, drop, lines, movement, rows, run_once
from tests.pipelines.small_home import send

CODES = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EROFS, errno.ENOSPC, errno.EMFILE)


def refuse(monkeypatch: pytest.MonkeyPatch, function: str, name: str, code: int) -> None:
    """The system refuses a call of `os` for files of this name."""
    before: Callable[..., Any] = getattr(os, function)

    def refusing(path: Any, *args: Any, **kwargs: Any) -> Any:
        if path == name:
            raise OSError(code, os.strerror(code), path)
        return before(path, *args, **kwargs)

    monkeypatch.setattr(os, function, refusing)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("function", ["open", "stat", "rename"])
def test_a_file_that_the_system_refuses_is_reported_once_and_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    send(settings.home, [movement(5, event_time="2026-03-01T11:00:00Z")])
    path = drop(settings, "a.ndjson", lines(movement(0)), age=20)
    drop(settings, "b.ndjson", lines(movement(1)))
    with monkeypatch.context() as patched:
        refuse(patched, function, "a.ndjson", code)
        _, notes = run_once(settings)
        message = os.strerror(code)
        assert [note for note in notes if note.startswith(f"landing/{TOPIC}/a.ndjson cannot be ")] == notes
        assert [note for note in notes if message in note] == notes
        assert len(notes) == 1
        found = {of.path: of.detail for of in landing_problems(settings.home)}
        assert message in found[f"landing/{TOPIC}/a.ndjson"]
        assert status(settings).to_dict()["landing"]["problems"] == found
        assert landing(settings.home).status == "warn"
    assert accepted(settings) == (["e0", "e1", "e5"] if function == "rename" else ["e1", "e5"])
    assert path.exists()
    run_once(settings)
    assert accepted(settings) == ["e0", "e1", "e5"]
    assert not path.exists()
    assert landing_problems(settings.home) == []
    assert landing(settings.home).status == "ok"


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_read_to_its_end_is_left_and_read_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = drop(settings, "a.ndjson", lines(movement(0)), age=20)
    drop(settings, "b.ndjson", lines(movement(1)))
    inode, pread = path.stat().st_ino, os.pread

    def failing(descriptor: int, count: int, at: int) -> bytes:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(code, os.strerror(code))
        return pread(descriptor, count, at)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", failing)
        _, notes = run_once(settings)
    assert notes == [f"landing/{TOPIC}/a.ndjson cannot be read: {os.strerror(code)}"]
    assert accepted(settings) == ["e1"]
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]


@pytest.mark.parametrize("name", ["_done", "_rejected"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_target_that_is_no_folder_leaves_files_where_they_are(settings: Settings, name: str, kind: str) -> None:
    path = drop(settings, "a.ndjson" if name == "_done" else "a.txt", lines(movement(0)))
    target = settings.home / "landing" / name
    if kind == "file":
        target.write_text("")
    else:
        (settings.home / "elsewhere").mkdir()
        target.symlink_to(settings.home / "elsewhere")
    for _ in range(2):
        _, notes = run_once(settings)
        assert len([note for note in notes if note.startswith(f"landing/{TOPIC}/{path.name} cannot be")]) == 1
        assert path.exists()
    assert kind == "file" or not list((settings.home / "elsewhere").iterdir())
    assert len(landing_problems(settings.home)) == 2
    target.unlink()
    run_once(settings)
    assert not path.exists()
    assert landing_problems(settings.home) == []
    assert len(rows(settings, "bronze.inventory_updates")) == (1 if name == "_done" else 0)


def test_a_topic_folder_that_cannot_be_read_stops_no_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(settings, "a.ndjson", lines(movement(0)))
    drop(settings, "b.ndjson", b"{}\n", topic="cinema-sales")
    with monkeypatch.context() as patched:
        refuse(patched, "open", "cinema-sales", errno.EACCES)
        _, notes = run_once(settings)
        assert [of.path for of in landing_problems(settings.home)] == ["landing/cinema-sales"]
    assert notes == ["landing/cinema-sales cannot be read: Permission denied"]
    assert accepted(settings) == ["e0"]


def test_a_following_run_reports_a_refused_file_once_and_tries_again_when_it_changes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(settings, "a.ndjson", lines(movement(0)))
    looks: list[int] = []
    look = LandingFolder.look

    def counting(self: LandingFolder, topics: list[str]) -> Any:
        looks.append(1)
        if len(looks) == 3:
            os.utime(path)
            refusing.undo()
        return look(self, topics)

    monkeypatch.setattr(LandingFolder, "look", counting)
    drop(settings, "later.ndjson", lines(movement(1)))
    refusing = pytest.MonkeyPatch()
    refuse(refusing, "open", "a.ndjson", errno.EACCES)
    with open_ingestor(settings) as (ingestor, notes, clock):
        for _ in range(4):
            ingestor.ingest(clock)
    assert notes == [f"landing/{TOPIC}/a.ndjson cannot be opened: Permission denied"]
    assert not path.exists()


def test_too_little_memory_for_a_file_rejects_that_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(settings, "a.parquet", b"PAR1", age=20)
    drop(settings, "b.ndjson", lines(movement(1)))

    def exhausted(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("pipelines.bronze.landing_records.parquet_values", exhausted)
    run_once(settings)
    assert accepted(settings) == ["e1"]
    reason = settings.home / "landing/_rejected" / TOPIC / "a.parquet.reason"
    assert reason.read_text() == "there is not enough memory to read it\n"


def test_a_name_with_terminal_controls_is_reported_without_them(settings: Settings) -> None:
    drop(settings, "\x1b[31m\x9b\u202e.txt", b"")
    _, (note,) = run_once(settings)
    assert note.isprintable()
    assert status(settings).to_dict()["landing"]["rejected"] == [
        f"landing/_rejected/{TOPIC}/\\x1b[31m\\x9b\\u202e.txt",
    ]


def open_ingestor(settings: Settings) -> Any:
    """(ingestor, its messages, a clock) of a home, closed at the end of the block."""
    from contextlib import closing, contextmanager

    from pipelines.bronze.landing_ingest import LandingIngestor
    from pipelines.clock import utc_now
    from pipelines.lake.catalog import Lake
    from pipelines.log.open import open_log

    @contextmanager
    def opened() -> Any:
        notes: list[str] = []
        with closing(Lake.open(settings)) as lake, closing(open_log(settings.log_url)) as log:
            log.ensure_topics([TOPIC], 1)
            writers = [BronzeWriter(lake, log, TOPIC)]
            root: Path = settings.home / "landing"
            yield LandingIngestor(lake, root, writers, notes.append), notes, utc_now

    return opened()
