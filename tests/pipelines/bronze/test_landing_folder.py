import os
from pathlib import Path

from pipelines.bronze.landing_folder import Landing
from pipelines.config.settings import Settings
from tests.pipelines.bronze.landing_home import drop, lines, movement, rows, run_once


def test_a_file_that_still_changes_is_not_settled(settings: Settings, tmp_path: Path) -> None:
    clock = [1000.0]
    landing = Landing(tmp_path, now=lambda: clock[0])
    (tmp_path / "inventory-updates").mkdir()
    path = tmp_path / "inventory-updates" / "a.ndjson"
    path.write_bytes(b"{")
    os.utime(path, (1000, 1000))
    assert landing.settled(["inventory-updates"]) == ([], True)
    clock[0] = 1001.0
    path.write_bytes(b"{}")
    os.utime(path, (1001, 1001))
    assert landing.settled(["inventory-updates"]) == ([], True)
    clock[0] = 1002.9
    assert landing.settled(["inventory-updates"]) == ([], True)
    clock[0] = 1003.0
    assert landing.settled(["inventory-updates"]) == ([("inventory-updates", path)], False)


def test_hidden_and_unfinished_names_are_ignored(settings: Settings) -> None:
    kept = [drop(settings, name, lines(movement(0))) for name in (".a.ndjson", "_a.ndjson", "a.tmp", "a.part")]
    run_once(settings)
    assert all(path.exists() for path in kept)


def test_entries_beside_the_topic_folders_are_reported_once_and_ignored(settings: Settings) -> None:
    stray = drop(settings, "a.ndjson", lines(movement(0)), topic="inventory_updates")
    _, notes = run_once(settings)
    assert stray.exists()
    assert [note.split(":")[0] for note in notes if "landing/" in note] == ["landing/inventory_updates is not read"]


def test_names_that_are_not_utf8_or_of_maximum_length_are_handled(settings: Settings) -> None:
    drop(settings, os.fsdecode(b"\xff.ndjson"), lines(movement(0)))
    drop(settings, "n" * 247 + ".parquet", b"not parquet")
    run_once(settings)
    run_once(settings)
    assert rows(settings, "ops.landing_files")["file"].to_list() == ["\ufffd.ndjson"]
    (moved,) = (settings.home / "landing/_rejected/inventory-updates").glob("*.parquet")
    assert moved.with_name(moved.name + ".reason").exists()
