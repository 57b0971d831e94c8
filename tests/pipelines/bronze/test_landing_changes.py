"""Files that change while or after they are read: nothing is lost, and what is recorded is what was read (R28)."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.bronze import landing_ingest, landing_moves
from pipelines.bronze.landing_file import LandingFile
from pipelines.bronze.landing_moved import MovedFiles
from pipelines.config.settings import Settings
from pipelines.operations.verify import verify
from tests.pipelines.bronze.landing_home import HEADER, TOPIC, accepted, csv_row, drop, lines, movement, rows, run_once

Change = Callable[[Path], None]


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(lines(movement(8)))


def overwrite(path: Path) -> None:
    path.write_bytes(lines(movement(8)))


def replace(path: Path) -> None:
    beside = path.with_name(".next")
    beside.write_bytes(lines(movement(8)))
    beside.rename(path)


def failed(settings: Settings) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify(settings) if not check.ok]


def at_step(monkeypatch: pytest.MonkeyPatch, module: Any, step: str, act: Callable[[], None]) -> None:
    """Run `act` the first time a fault point is passed."""
    acts = [act]

    def fault_point(name: str) -> None:
        if name == step and acts:
            acts.pop()()

    monkeypatch.setattr(module, "fault_point", fault_point)


@pytest.mark.parametrize("change", [append, overwrite, replace])
@pytest.mark.parametrize("step", ["landing.ingested", "landing.move_noted"])
def test_a_file_that_changes_between_commit_and_move_is_read_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: Change, step: str
) -> None:
    path = drop(settings, "daily.ndjson", lines(movement(0), movement(1)))
    module = landing_ingest if step == "landing.ingested" else landing_moves
    at_step(monkeypatch, module, step, lambda: change(path))
    _, notes = run_once(settings)
    run_once(settings)
    assert accepted(settings) == ["e0", "e1", "e8"]
    assert [note for note in notes if "after it was read" in note]
    assert len(rows(settings, "bronze.inventory_updates")) == 3
    assert failed(settings) == []


@pytest.mark.parametrize("change", [append, overwrite, replace])
def test_an_unread_file_that_a_crash_left_in_done_is_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    path = drop(settings, "daily.ndjson", lines(movement(0)))

    def crash(name: str) -> None:
        if name == "landing.move_noted":
            change(path)
        elif name == "landing.moved":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(landing_moves, "fault_point", crash)
        with pytest.raises(KeyboardInterrupt):
            run_once(settings)
    assert not path.exists()
    run_once(settings)
    assert accepted(settings) == ["e0", "e8"]
    assert failed(settings) == []


@pytest.mark.parametrize("change", [append, overwrite])
def test_a_file_that_changes_while_it_is_read_is_not_committed_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    path = drop(settings, "daily.ndjson", lines(movement(0), movement(1)))
    identify, changes = LandingFile.identify, [change]

    def identify_then_change(self: LandingFile, ingested: dict[int, str]) -> None:
        identify(self, ingested)
        if changes:
            changes.pop()(path)

    monkeypatch.setattr(LandingFile, "identify", identify_then_change)
    run_once(settings)
    run_once(settings)
    expected = ["e8"] if change is overwrite else ["e0", "e1", "e8"]
    assert accepted(settings) == expected
    assert rows(settings, "ops.landing_files")["rows"].to_list() == [len(expected)]
    assert failed(settings) == []


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("slow.ndjson", lines(movement(0), movement(1)), lines(movement(8))),
        ("slow.csv", (HEADER + csv_row(0) + csv_row(1)).encode(), csv_row(8).encode()),
    ],
)
def test_further_lines_of_a_file_in_done_are_ingested_as_a_new_file(
    settings: Settings, name: str, content: bytes, more: bytes
) -> None:
    drop(settings, name, content)
    run_once(settings)
    done = settings.home / "landing/_done" / TOPIC / name
    with done.open("ab") as file:
        file.write(more)
    assert failed(settings) == [
        f"landing/_done: files: changed after they were read, or never read: {TOPIC}/{name}. "
        "Move them back to landing/<topic>/ to ingest them"
    ]
    _, notes = run_once(settings)
    assert [note for note in notes if f"landing/_done/{TOPIC}/{name} changed after it was read" in note]
    assert accepted(settings) == ["e0", "e1", "e8"]
    assert len(rows(settings, "bronze.inventory_updates")) == 3
    files = rows(settings, "ops.landing_files").sort("ingested_at", "batch_from")
    assert files["rows"].to_list() == [2, 1]
    headers = [h["value"] for h in rows(settings, "bronze.inventory_updates").sort("offset")["headers"].to_list()[2]]
    assert headers == [name.replace("slow", "slow-again").encode(), str(content.count(b"\n") + 1).encode()]
    assert failed(settings) == []


def test_the_rest_of_a_line_that_was_cut_is_read_with_its_beginning(settings: Settings) -> None:
    whole = lines(movement(0), movement(1), movement(8))
    cut = len(lines(movement(0))) + 30
    drop(settings, "slow.ndjson", whole[:cut])
    run_once(settings)
    assert accepted(settings) == ["e0"]
    with (settings.home / "landing/_done" / TOPIC / "slow.ndjson").open("ab") as file:
        file.write(whole[cut:])
    run_once(settings)
    assert accepted(settings) == ["e0", "e1", "e8"]
    assert rows(settings, "silver.quarantine")["reasons"].to_list() == [["invalid_json"]]
    assert failed(settings) == []


def test_a_rejected_file_that_its_writer_completes_is_read_as_a_whole(settings: Settings) -> None:
    content = (HEADER + csv_row(0, supplier_id='"S 1"') + csv_row(1)).encode()
    cut = content.index(b"S 1") + 1
    drop(settings, "slow.csv", content[:cut])
    run_once(settings)
    rejected = settings.home / "landing/_rejected" / TOPIC / "slow.csv"
    with rejected.open("ab") as file:
        file.write(content[cut:])
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]
    assert not rejected.exists()
    assert not rejected.with_name("slow.csv.reason").exists()


def test_a_file_of_the_same_lines_and_more_in_another_file_is_ingested_as_a_whole(settings: Settings) -> None:
    drop(settings, "monday.ndjson", lines(movement(0)))
    run_once(settings)
    drop(settings, "tuesday.ndjson", lines(movement(0), movement(1)))
    run_once(settings)
    assert accepted(settings) == ["e0", "e1"]
    assert rows(settings, "ops.landing_files").sort("file")["rows"].to_list() == [1, 2]


def test_a_file_withdrawn_while_others_are_taken_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(settings, "a.ndjson", lines(movement(0)), age=20)
    path = drop(settings, "b.ndjson", lines(movement(1)))
    drop(settings, "c.ndjson", lines(movement(2)), age=0)
    at_step(monkeypatch, landing_ingest, "landing.ingested", path.unlink)
    run_once(settings)
    assert accepted(settings) == ["e0", "e2"]


def test_verify_names_a_file_in_done_that_was_never_read(settings: Settings) -> None:
    drop(settings, "a.ndjson", lines(movement(0)))
    run_once(settings)
    (settings.home / "landing/_done" / TOPIC / "b.ndjson").write_bytes(lines(movement(1)))
    (found,) = failed(settings)
    assert f"never read: {TOPIC}/b.ndjson." in found
    (settings.home / "landing/_done" / TOPIC / "b.ndjson").unlink()
    assert failed(settings) == []


def test_a_folder_of_another_file_system_is_emptied_by_copies(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def other_file_system(source: str, target: str, **folders: int) -> None:
        if len(set(folders.values())) > 1:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, **folders)

    monkeypatch.setattr("pipelines.bronze.landing_moves.os.rename", other_file_system)
    path = drop(settings, "a.ndjson", lines(movement(0)))
    bad = drop(settings, "b.csv", "x\n")
    run_once(settings)
    assert not path.exists()
    assert not bad.exists()
    assert sorted(found.name for found in path.parent.iterdir()) == []
    assert (settings.home / "landing/_done" / TOPIC / "a.ndjson").read_bytes() == lines(movement(0))
    assert (settings.home / "landing/_rejected" / TOPIC / "b.csv.reason").exists()
    run_once(settings)
    assert accepted(settings) == ["e0"]
    assert failed(settings) == []


def test_a_file_on_its_way_out_when_the_process_died_is_read(settings: Settings) -> None:
    drop(settings, ".leaving-a.ndjson", lines(movement(0)))
    run_once(settings)
    assert accepted(settings) == ["e0"]


def test_the_list_of_moves_survives_a_line_that_a_crash_cut(settings: Settings) -> None:
    drop(settings, "a.ndjson", lines(movement(0)))
    run_once(settings)
    with (settings.home / "landing_moves.ndjson").open("a") as file:
        file.write('\n{"folder": "_done", "top')
    drop(settings, "b.ndjson", lines(movement(1)))
    run_once(settings)
    for name in ("a.ndjson", "b.ndjson"):
        with (settings.home / "landing/_done" / TOPIC / name).open("ab") as file:
            file.write(lines(movement(ord(name[0]))))
    run_once(settings)
    assert accepted(settings) == ["e0", "e1", "e97", "e98"]


def test_moves_of_earlier_days_leave_the_list(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from pipelines.bronze.landing_moved import Moved

    today = datetime(2026, 3, 10, tzinfo=UTC)
    moved = MovedFiles(tmp_path / "moves", today)
    for hours in (200, 100, 50, 1):
        at = (today - timedelta(hours=hours)).isoformat()
        moved.add(Moved("_done", TOPIC, f"{hours}", "a", hours, 1, 1, "x", at))
    reopened = MovedFiles(tmp_path / "moves", today)
    assert [entry.place for entry in reopened.due()] == ["1"]
    assert len((tmp_path / "moves").read_text().split()) < 30
