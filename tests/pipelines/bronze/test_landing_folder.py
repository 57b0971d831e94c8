"""When a landing file is read, and what is never read (R28)."""

import gzip
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.bronze import landing_open_files
from pipelines.bronze.landing_folder import LandingFolder
from pipelines.bronze.landing_open_files import is_open_for_writing
from pipelines.bronze.landing_problems import landing_problems
from pipelines.config.settings import Settings, load_settings
from pipelines.operations.doctor_landing import landing
from pipelines.operations.status import status
from tests.pipelines.bronze.landing_home import HEADER, TOPIC, accepted, csv_row, drop, lines, movement, run_once


class Looks:
    """A folder with one topic, looked at by a clock that the test sets."""

    def __init__(self, root: Path) -> None:
        self.clock = 0.0
        self.folder = LandingFolder(root, now=lambda: self.clock)
        self.path = root / TOPIC / "a.ndjson"
        self.path.parent.mkdir(parents=True)

    def settled(self, at: float) -> bool:
        """Whether a look at that moment finds the file settled."""
        self.clock = at
        look = self.folder.look([TOPIC])
        assert len(look.settled) + len(look.settling) == 1
        return bool(look.settled)


@pytest.fixture
def looks(tmp_path: Path) -> Looks:
    return Looks(tmp_path)


@pytest.mark.parametrize("age", [1e9, 10, 0, -10, -1e9])
def test_a_file_settles_by_two_looks_whatever_its_mtime_says(looks: Looks, age: float) -> None:
    looks.path.write_bytes(b"{}")
    then = time.time() - age
    os.utime(looks.path, (then, then))
    assert not looks.settled(at=100.0)
    assert not looks.settled(at=101.9)
    assert looks.settled(at=102.0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def rewrite_and_set_mtime_back(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"[]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    (path.parent / ".new").write_bytes(path.read_bytes())
    (path.parent / ".new").rename(path)


@pytest.mark.parametrize("change", [grow, rewrite_and_set_mtime_back, replace, os.utime])
def test_any_change_starts_the_wait_again(looks: Looks, change: Callable[[Path], None]) -> None:
    looks.path.write_bytes(b"{}")
    assert not looks.settled(at=100.0)
    time.sleep(0.02)  # of the kernel's clock for ctime
    change(looks.path)
    assert not looks.settled(at=103.0)
    assert not looks.settled(at=104.9)
    assert looks.settled(at=105.0)


@pytest.mark.parametrize("by_lease", [True, False])
@pytest.mark.parametrize(("mode", "is_open"), [("ab", True), ("r+b", True), ("rb", False)])
def test_an_open_writer_is_seen(
    tmp_path: Path, by_lease: bool, mode: str, is_open: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_lease:
        monkeypatch.setattr(landing_open_files, "_by_lease", lambda descriptor: None)
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"{}")
    command = "import sys; f = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", command, path, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with path.open("rb") as file:
            assert is_open_for_writing(file.fileno()) is is_open
        writer.communicate(b"")
    with path.open("rb") as file:
        assert not is_open_for_writing(file.fileno())
    with path.open("ab"):  # a lease that was given up breaks nothing
        pass


def test_a_file_with_an_open_writer_is_left_alone_and_reported(settings: Settings) -> None:
    path = drop(settings, "slow.ndjson", lines(movement(0)))
    with path.open("ab") as writer:
        _, notes = run_once(settings)
        assert accepted(settings) == []
        writer.write(lines(movement(1)))
    assert len([note for note in notes if "slow.ndjson is open for writing" in note]) == 1
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]


def test_a_run_waits_for_a_file_just_dropped(tmp_path: Path, without_settings: None) -> None:
    settings = load_settings(home=tmp_path)
    drop(settings, "a.ndjson", lines(movement(0)), age=-3600)
    started = time.monotonic()
    run_once(settings)
    assert time.monotonic() - started >= 2.0
    assert accepted(settings) == ["e0"]


# what is never read (12, A11)


def folder_of_a_month(topic: Path) -> Path:
    (topic / "2026-11").mkdir()
    (topic / "2026-11" / "monday.ndjson").write_bytes(lines(movement(1)))
    return topic / "2026-11"


def folder_of_spark(topic: Path) -> Path:
    (topic / "deliveries.parquet").mkdir()
    return topic / "deliveries.parquet"


def dangling_link(topic: Path) -> Path:
    (topic / "gone.csv").symlink_to(topic / "nowhere")
    return topic / "gone.csv"


def link_to_a_file(topic: Path) -> Path:
    (topic.parent.parent / "secret").write_bytes(lines(movement(1)))
    (topic / "linked.ndjson").symlink_to(topic.parent.parent / "secret")
    return topic / "linked.ndjson"


def hard_link(topic: Path) -> Path:
    (topic.parent.parent / "other").write_bytes(lines(movement(1)))
    (topic / "hard.ndjson").hardlink_to(topic.parent.parent / "other")
    return topic / "hard.ndjson"


def pipe(topic: Path) -> Path:
    os.mkfifo(topic / "pipe.ndjson")
    return topic / "pipe.ndjson"


def unix_socket(topic: Path) -> Path:
    before = Path.cwd()
    os.chdir(topic)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.ndjson")
    finally:
        os.chdir(before)
    return topic / "socket.ndjson"


def unknown_topic(topic: Path) -> Path:
    (topic.parent / "inventory_updates").mkdir()
    return topic.parent / "inventory_updates"


def file_beside_topics(topic: Path) -> Path:
    (topic.parent / "stock.csv").write_text(HEADER)
    return topic.parent / "stock.csv"


def topic_that_is_a_file(topic: Path) -> Path:
    (topic.parent / "cinema-sales").write_text("")
    return topic.parent / "cinema-sales"


def topic_that_is_a_link(topic: Path) -> Path:
    (topic.parent.parent / "elsewhere").mkdir()
    (topic.parent.parent / "elsewhere" / "a.ndjson").write_bytes(lines(movement(1)))
    (topic.parent / "cinema-sales").symlink_to(topic.parent.parent / "elsewhere")
    return topic.parent / "cinema-sales"


@pytest.mark.parametrize(
    "make",
    [
        *(folder_of_a_month, folder_of_spark, dangling_link, link_to_a_file, hard_link, pipe, unix_socket),
        *(unknown_topic, file_beside_topics, topic_that_is_a_file, topic_that_is_a_link),
    ],
)
def test_what_is_never_read_is_reported_once_and_shown_by_status_and_doctor(
    settings: Settings, make: Callable[[Path], Path]
) -> None:
    good = drop(settings, "good.ndjson", lines(movement(0)))
    made = make(good.parent)
    path = str(made.relative_to(settings.home))
    _, notes = run_once(settings)
    assert accepted(settings) == ["e0"]
    assert [note for note in notes if note.startswith(f"{path} is not read: ")] == notes
    assert len(notes) == 1
    assert os.path.lexists(made)
    assert [of.path for of in landing_problems(settings.home)] == [path]
    assert list(status(settings).to_dict()["landing"]["problems"]) == [path]
    finding = landing(settings.home)
    assert (finding.status, path in finding.detail) == ("warn", True)


def test_a_landing_folder_without_problems_is_fine(settings: Settings) -> None:
    assert landing(settings.home).status == "ok"
    drop(settings, "good.ndjson", lines(movement(0)))
    run_once(settings)
    assert landing(settings.home).status == "ok"
    assert status(settings).to_dict()["landing"] == {"problems": {}, "rejected": []}


def test_a_landing_folder_that_is_a_file_stops_nothing(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "landing").write_text("")
    _, notes = run_once(settings)
    assert notes == ["landing is not read: it is no folder"]


# formats


@pytest.mark.parametrize("name", ["x.csv.ndjson", "x.parquet.ndjson", "X.CSV.NDJSON"])
def test_the_last_extension_is_the_format_of_ndjson(settings: Settings, name: str) -> None:
    drop(settings, name, lines(movement(0)))
    drop(settings, f"{name}.gz", gzip.compress(lines(movement(1))))
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]


@pytest.mark.parametrize("name", ["x.ndjson.csv", "x.csv.csv", "x.parquet.CSV"])
def test_the_last_extension_is_the_format_of_csv(settings: Settings, name: str) -> None:
    drop(settings, name, HEADER + csv_row(0))
    drop(settings, f"{name}.gz", gzip.compress((HEADER + csv_row(1)).encode()))
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]


@pytest.mark.parametrize("name", ["a.ndjson.txt", "a.csv.zip", "a.parquet.gz", "csv", "a.ndjson.gz.gz"])
def test_another_last_extension_rejects_the_file(settings: Settings, name: str) -> None:
    path = drop(settings, name, lines(movement(0)))
    run_once(settings)
    assert not path.exists()
    assert (settings.home / "landing/_rejected" / TOPIC / name).exists()
