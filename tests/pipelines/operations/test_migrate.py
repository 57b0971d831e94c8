"""A lakehouse is migrated to another folder and SQLite catalog. test_acceptance.py migrates one to S3."""

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.bronze.position import Position
from pipelines.config.settings import Settings, load_settings
from pipelines.config.target import target_settings
from pipelines.errors import AlreadyRunningError, PermanentError, SettingsError, UsageError
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import MIGRATIONS, Lake
from pipelines.lake.copy import content
from pipelines.maintenance.maintain import maintain
from pipelines.operations.migrate import Report, migrate
from pipelines.operations.trace import trace
from pipelines.operations.verify import verify
from pipelines.silver.state import read_state
from tests.pipelines.outcome import differences, fill_log
from tests.pipelines.small_home import TOPIC, log_records, movement, rows, run_layers, send

pytestmark = pytest.mark.usefixtures("without_settings")


def target_of(home: Path, to: Path) -> dict[str, str]:
    return {"catalog_url": f"sqlite:///{to}/catalog.db", "lake_root": str(to / "lake")}


def migrated(home: Path, to: Path) -> Report:
    return migrate(load_settings(home=home), load_settings(home=home, **target_of(home, to)), lambda: datetime.now(UTC))


def failed(settings: Settings) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify(settings, rebuild=True) if not check.ok]


def files(folder: Path) -> dict[str, str]:
    """Return the digest of every file but locks."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".lock", ".db-shm", ".db-wal")
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A few batches, an evolved column, quarantined records, and a checkpoint that a compaction carried over."""
    home = tmp_path / "home"
    for n in range(3):
        send(home, [movement(n), b"broken", movement(n, event_id=f"x{n}", colour="red")])
        run_layers(home)
    maintain(load_settings(home=home, keep_commits=1, keep_hourly=0, keep_daily=0))
    return home


def test_all_tables_are_copied_with_their_checkpoints(home: Path, tmp_path: Path) -> None:
    before, to = files(home), tmp_path / "to"
    report = migrated(home, to)
    assert files(home) == before
    old, new = load_settings(home=home), load_settings(home=home, **target_of(home, to))
    with closing(Lake.open(old)) as source, closing(Lake.open(new)) as target:
        assert target.names() == sorted([*source.names(), MIGRATIONS])
        for line in report.tables:
            one, two = source.table(line.table), target.table(line.table)
            assert (one.checkpoint(), one.properties(), one.columns) == (
                two.checkpoint(),
                two.properties(),
                two.columns,
            )
            assert one.iceberg.schema() == two.iceberg.schema()
            assert (content(two).rows, content(two).digest) == (line.rows, line.digest)
            assert all(path.startswith(f"file://{to}/lake/") for path in two.file_paths())
        bronze = "bronze.inventory_updates"
        assert Position.of(source.table(bronze)) == Position.of(target.table(bronze))
        assert read_state(source, TOPIC) == read_state(target, TOPIC)
    assert rows(new, MIGRATIONS)["rows"].sum() == sum(line.rows for line in report.tables) > 0
    assert failed(new) == []


def test_a_run_continues_in_the_target_where_the_source_ended(home: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    migrated(home, to)
    send(home, [movement(1), movement(50), movement(51, colour="blue", size="L")])
    report = run_layers(home, **target_of(home, to))
    topic = report.topics[TOPIC]
    assert (topic.polled, topic.accepted_on_time + topic.accepted_late, topic.duplicates) == (3, 2, 1)
    new = load_settings(home=home, **target_of(home, to))
    assert failed(new) == []
    assert len(rows(new, "bronze.inventory_updates")) == len(log_records(home)) == 12
    found = rows(new, "silver.inventory_updates")
    assert found["colour"].drop_nulls().to_list().count("red") == 3
    assert found.filter(found["event_id"] == "e51")["size"].to_list() == ["L"]
    assert trace(new, "e1") and trace(new, "e50")


@pytest.mark.slow
def test_a_migrated_lakehouse_equals_one_that_never_changed_place(tmp_path: Path) -> None:
    moving, staying, to = tmp_path / "moving", tmp_path / "staying", tmp_path / "to"
    for seed in (5, 6):
        for home in (moving, staying):
            fill_log(home, 400, seed=seed)
        run_layers(staying, gold=True)
        run_layers(moving, gold=True, **(target_of(moving, to) if seed == 6 else {}))
        if seed == 5:
            migrated(moving, to)
    for path in (moving / "catalog.db", moving / "lake"):
        path.rename(path.with_suffix(".old"))
    (to / "catalog.db").rename(moving / "catalog.db")
    assert differences(moving, staying) == []


def test_repeating_a_finished_migration_changes_nothing(home: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    first = migrated(home, to)
    after = files(to)
    again = migrated(home, to)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.tables == first.tables
    assert files(to) == after
    assert not (home / "migrating.db").exists()


def test_a_target_with_other_tables_or_later_changes_is_refused(home: Path, tmp_path: Path) -> None:
    other, to = tmp_path / "other", tmp_path / "to"
    send(other, [movement(1)])
    run_layers(other)
    kept = files(other)
    with pytest.raises(PermanentError, match="has tables already"):
        migrated(home, other)
    assert files(other) == kept
    migrated(home, to)
    with pytest.raises(PermanentError, match="went on since"):
        migrated(other, to)
    send(home, [movement(60)])
    run_layers(home, **target_of(home, to))
    with pytest.raises(PermanentError, match="went on since"):
        migrated(home, to)


def test_the_source_as_target_and_a_home_in_use_are_refused(home: Path, tmp_path: Path) -> None:
    settings = load_settings(home=home)
    for wrong in (home, home / "lake" / "deeper"):
        with pytest.raises(UsageError, match=r"catalog is the source's|among the source's"):
            migrate(settings, load_settings(**{"home": home, **target_of(home, wrong)}), lambda: datetime.now(UTC))
    with home_lock(home), pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        migrated(home, tmp_path / "to")


FAULTS = (
    "bronze.inventory_updates.file_copied",
    "silver.inventory_updates.files_copied",
    "migrate.marked",
    "bronze.anime_schedule.published",
    "silver.quarantine.published",
    f"{MIGRATIONS}.files_written",
    f"{MIGRATIONS}.committed",
)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_killed_migration_is_repeatable_and_blocks_runs_meanwhile(fault: str, home: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    options = ["migrate", "--to-catalog", f"sqlite:///{to}/catalog.db", "--to-lake-root", str(to / "lake")]
    command = [sys.executable, "-m", "animeverse", "--home", str(home), *options]
    killed = subprocess.run(command, env={**os.environ, "ANIMEVERSE_FAULT": fault}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    names: list[str] = []
    if (to / "catalog.db").exists():
        with closing(Lake.open(load_settings(home=home, **target_of(home, to)))) as lake:
            names = lake.names()
    if names and not fault.endswith("committed"):
        with pytest.raises(PermanentError, match="not finished"):
            run_layers(home, **target_of(home, to))
    send(home, [movement(70)])
    if not fault.endswith("committed"):  # the source changes after the copy
        run_layers(home)
    migrated(home, to)
    new = load_settings(home=home, **target_of(home, to))
    run_layers(home, **target_of(home, to))
    assert "e70" in rows(new, "silver.inventory_updates")["event_id"].to_list()
    assert failed(new) == []


def test_the_target_file_is_read_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEVERSE_BATCH_SIZE", "7")
    file = tmp_path / "there.env"
    file.write_text(
        "ANIMEVERSE_CATALOG_URL=http://127.0.0.1:8181\nANIMEVERSE_LAKE_ROOT=s3://bkt/lake\n"
        "ANIMEVERSE_CATALOG_TOKEN=hidden\nAWS_ACCESS_KEY_ID=key\nANIMEVERSE_HOME=elsewhere\n"
    )
    found = target_settings(tmp_path / "home", file)
    assert (found.catalog_url, found.lake_root) == ("http://127.0.0.1:8181", "s3://bkt/lake")
    assert (found.catalog, found.s3) == ({"token": "hidden"}, {"s3.access-key-id": "key"})
    assert (found.home, found.batch_size) == (tmp_path / "home", 7)
    assert target_settings(tmp_path, file, lake_root="s3://other/lake").lake_root == "s3://other/lake"
    file.write_text("ANIMEVERSE_CATALOG_URI=http://127.0.0.1:8181\n")
    with pytest.raises(SettingsError, match="did you mean"):
        target_settings(tmp_path, file)
    file.write_text("ANIMEVERSE_CATALOG_URL=http://127.0.0.1:8181\n")
    with pytest.raises(SettingsError, match="ANIMEVERSE_LAKE_ROOT in the file"):
        target_settings(tmp_path, file)
    with pytest.raises(SettingsError, match="the target of the migration is missing"):
        target_settings(tmp_path, None)
