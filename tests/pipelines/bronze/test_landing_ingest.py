import gzip
from pathlib import Path

import pytest

from pipelines.bronze.landing_folder import Landing
from pipelines.config.settings import Settings
from tests.pipelines.bronze.landing_home import drop, lines, movement, rows, run_once


def test_the_same_content_under_a_new_name_is_reported_and_not_ingested_again(settings: Settings) -> None:
    drop(settings, "a.ndjson", lines(movement(0)))
    run_once(settings)
    drop(settings, "b.ndjson", lines(movement(0)))
    _, notes = run_once(settings)
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert any("same content as a.ndjson" in note for note in notes)
    assert rows(settings, "ops.landing_files").select("file", "rows").rows() == [("a.ndjson", 1)]


def test_an_unreadable_file_is_moved_away_with_its_reason_and_other_files_are_ingested(settings: Settings) -> None:
    drop(settings, "a.parquet", b"not parquet")
    drop(settings, "b.ndjson.gz", b"not gzip")
    drop(settings, "c.xlsx", b"?")
    drop(settings, "d.csv", b"")
    drop(settings, "e.ndjson.gz", gzip.compress(lines(movement(0))))
    run_once(settings)
    rejected = settings.home / "landing/_rejected/inventory-updates"
    for name in ("a.parquet", "b.ndjson.gz", "c.xlsx", "d.csv"):
        assert (rejected / name).exists()
        assert (rejected / f"{name}.reason").read_text().strip()
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e0"]


def test_an_empty_file_is_ingested_with_0_rows(settings: Settings) -> None:
    drop(settings, "a.ndjson", b"\n")
    run_once(settings)
    drop(settings, "b.ndjson", lines(movement(0)))
    run_once(settings)
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert rows(settings, "ops.landing_files").sort("file")["rows"].to_list() == [0, 1]


def test_a_file_that_was_ingested_before_a_crash_is_only_moved(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(self: Landing, topic: str, path: Path) -> Path:
        raise KeyboardInterrupt

    path = drop(settings, "a.ndjson", lines(movement(0)))
    with monkeypatch.context() as patched:
        patched.setattr(Landing, "done", crash)
        with pytest.raises(KeyboardInterrupt):
            run_once(settings)
    assert path.exists()
    run_once(settings)
    assert not path.exists()
    assert len(rows(settings, "bronze.inventory_updates")) == 1
    assert rows(settings, "silver.inventory_updates")["event_id"].to_list() == ["e0"]
