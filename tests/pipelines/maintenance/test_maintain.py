"""Maintenance of real homes changes files, never table contents."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.bronze.table import ensure_bronze
from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.tables import BRONZE
from pipelines.errors import AlreadyRunningError, CommitConflictError, PermanentError
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.lake.compaction import at_rest
from pipelines.lake.rewrite import Rewrite, file_lines, write_anew
from pipelines.maintenance.maintain import maintain, sort_of
from pipelines.microbatch.loop import run
from pipelines.operations.verify import verify
from pipelines.silver.pending import pending_batches
from pipelines.silver.topic import SilverTopic
from tests.pipelines.outcome import silver
from tests.pipelines.small_home import TOPIC, movement, run_layers, send

pytestmark = pytest.mark.usefixtures("without_settings")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
AT_ONCE: dict[str, Any] = {"orphan_age": "0s", "keep_commits": 2, "keep_hourly": 0, "keep_daily": 0}


def fill(home: Path, batches: int = 6, *, start: int = 0) -> None:
    """Batches over two days, each with a duplicate and a broken record."""
    for batch in range(start, start + batches):
        numbers = range(batch * 10, batch * 10 + 8)
        send(home, [movement(n * 40) for n in numbers], partition=batch % 2)
        send(home, [movement(batch * 400), b"broken"], partition=batch % 2)
    run_layers(home, batch_size=4)


def failed(settings: Settings, *, rebuild: bool = False) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in verify(settings, rebuild=rebuild) if not check.ok]


@contextmanager
def opened(settings: Settings) -> Iterator[Lake]:
    with closing(Lake.open(settings)) as lake:
        yield lake


def bronze_rows(batch_id: int, count: int, *, first: int = 0) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"partition": 0, "offset": first + n, "value": b"{}", "ingested_at": NOW, "batch_id": batch_id}
            for n in range(count)
        ],
        schema=BRONZE,
    )


def all_files(home: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}


def rewritten(table: LakeTable) -> Rewrite:
    sort = sort_of(table.columns)
    found = write_anew(table, at_rest(file_lines(table, sort[0]))[0], sort)
    assert found is not None
    return found


@pytest.mark.slow
def test_all_checks_pass_and_all_rows_are_the_same_after_maintenance(tmp_path: Path) -> None:
    fill(tmp_path)
    before = silver(tmp_path)
    report = maintain(load_settings(home=tmp_path, **AT_ONCE))
    by_name = {of.table: of for of in report.tables}
    assert by_name["bronze.inventory_updates"].files > 10
    assert by_name["silver.inventory_updates"].expired > 5
    assert by_name["silver.inventory_updates"].deleted > 10
    after = silver(tmp_path)
    assert before.keys() == after.keys()
    assert all(before[name].equals(after[name]) for name in before)
    assert failed(load_settings(home=tmp_path), rebuild=True) == []
    fill(tmp_path, 2, start=6)
    assert failed(load_settings(home=tmp_path), rebuild=True) == []


def test_each_day_becomes_one_sorted_file_and_a_second_call_finds_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    settings = load_settings(home=tmp_path, **AT_ONCE)
    maintain(settings)
    with opened(settings) as lake:
        for name in lake.names():
            lines = file_lines(lake.table(name), None)
            assert len(lines) == len({line.partition for line in lines})
        for batch in lake.table("silver.inventory_updates").read_streamed(["event_time", "_partition", "_offset"]):
            frame = pl.DataFrame(pl.from_arrow(batch))
            assert frame.equals(frame.sort(frame.columns))
    again = maintain(settings)
    assert not any(of.files or of.expired or of.deleted for of in again.tables)


def test_a_dry_run_reports_the_same_without_a_lock_and_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    settings = load_settings(home=tmp_path, **AT_ONCE)
    before = all_files(tmp_path)
    with home_lock(tmp_path):
        planned = maintain(settings, dry_run=True)
    assert all_files(tmp_path).keys() - before.keys() <= {str(tmp_path / "run.lock")}
    assert all(all_files(tmp_path)[path] == at for path, at in before.items() if not path.endswith("run.lock"))
    done = maintain(settings)
    assert [(of.table, of.files, of.into) for of in planned.tables] == [
        (of.table, of.files, of.into) for of in done.tables
    ]
    assert planned.dry_run
    assert not done.dry_run


def test_maintenance_is_refused_beside_a_run(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with home_lock(tmp_path), pytest.raises(AlreadyRunningError, match=r"pid \d+"):
        maintain(load_settings(home=tmp_path))


def test_readers_of_appended_rows_do_not_see_a_compaction(tmp_path: Path) -> None:
    with opened(load_settings(home=tmp_path)) as lake:
        table = ensure_bronze(lake, TOPIC)
        table.append(bronze_rows(1, 3), {"batch-id": "1"})
        start = table.snapshot_id
        table.append(bronze_rows(2, 3, first=3), {"batch-id": "2"})
        middle = table.snapshot_id
        last_rows = table.rows_snapshot_id
        rewrite = rewritten(table)
        table.replace_files(rewrite.old, rewrite.new)
        assert table.rows_snapshot_id == last_rows == middle != table.snapshot_id
        assert dict(table.checkpoint()) == {"batch-id": "2"}
        assert (table.checkpoint_commit() or (0,))[0] == middle
        table.append(bronze_rows(3, 2, first=6), {"batch-id": "3"})

        def appended(after: int | None) -> list[int]:
            rows = table.read_appended(after)
            assert rows is not None
            return sorted(rows.column("offset").to_pylist())

        assert appended(start) == [3, 4, 5, 6, 7]
        assert appended(middle) == [6, 7]
        assert appended(None) == list(range(8))
        assert sorted(table.read(snapshot_id=start).column("offset").to_pylist()) == [0, 1, 2]
        assert [int(checkpoint["batch-id"]) for _, _, checkpoint in table.checkpoints()] == [1, 2, 3]


def test_appended_rows_are_not_read_over_an_expired_snapshot(tmp_path: Path) -> None:
    with opened(load_settings(home=tmp_path)) as lake:
        table = ensure_bronze(lake, TOPIC)
        ids = [table.append(bronze_rows(n, 1, first=n), {"batch-id": str(n)}) for n in range(4)]
        table.expire([ids[1]])
        assert table.read_appended(ids[0]) is None
        assert table.read_appended(ids[2]) is not None


def test_a_compaction_conflicts_with_another_one_and_not_with_an_append(tmp_path: Path) -> None:
    with opened(load_settings(home=tmp_path)) as lake:
        table = ensure_bronze(lake, TOPIC)
        for n in range(3):
            table.append(bronze_rows(n, 2, first=2 * n), {"batch-id": str(n)})
        one, two = rewritten(table), rewritten(lake.table(table.name))
        table.append(bronze_rows(3, 2, first=6), {"batch-id": "3"})
        table.replace_files(one.old, one.new)
        with pytest.raises(CommitConflictError):
            lake.table(table.name).replace_files(two.old, two.new)
        assert sorted(lake.table(table.name).read().column("offset").to_pylist()) == list(range(8))
        stale = lake.table(table.name)
        table.append(bronze_rows(4, 1, first=8), {"batch-id": "4"})
        three = rewritten(stale)
        with pytest.raises(CommitConflictError):
            stale.replace_files(three.old, three.new)


def test_files_with_another_number_of_rows_replace_nothing(tmp_path: Path) -> None:
    with opened(load_settings(home=tmp_path)) as lake:
        table = ensure_bronze(lake, TOPIC)
        for n in range(2):
            table.append(bronze_rows(n, 2, first=2 * n), {"batch-id": str(n)})
        rewrite = rewritten(table)
        with pytest.raises(PermanentError, match="4 rows may not be replaced by 2"):
            table.replace_files(rewrite.old, rewrite.old[:1])


def test_silver_reads_whole_batches_from_compacted_bronze_in_bounded_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.lake.rewrite._SLICE_ROWS", 7)
    settings = load_settings(home=tmp_path)
    with opened(settings) as lake:
        table = ensure_bronze(lake, TOPIC)
        sizes = [3, 5, 1, 8, 2, 2, 20, 1, 1, 4]
        for n, size in enumerate(sizes, 1):
            table.append(bronze_rows(n, size, first=sum(sizes[: n - 1])), {"batch-id": str(n), "offsets": "{}"})
        rewrite = rewritten(table)
        assert len(rewrite.new) == 1
        table.replace_files(rewrite.old, rewrite.new)
        topic = SilverTopic(lake, TOPIC, settings.policy(TOPIC))
        pieces = list(topic.pending(10))
        assert [row for piece in pieces for row in piece.rows.column("offset").to_pylist()] == list(range(sum(sizes)))
        assert len(pieces) >= 3
        batches = [set(piece.rows.column("batch_id").to_pylist()) for piece in pieces]
        assert sum(len(found) for found in batches) == len(sizes)
        rest = [n for piece in pending_batches(table, TOPIC, 4, 10) for n in piece.rows.column("batch_id").to_pylist()]
        assert rest == [n for n, size in enumerate(sizes, 1) for _ in range(size) if n > 4]


def test_evolved_columns_and_nested_values_survive(tmp_path: Path) -> None:
    values = [movement(n, **({"colour": f"c{n}"} if n > 3 else {})) for n in range(8)]
    for n, value in enumerate(values):
        send(tmp_path, [value], headers=[("n", str(n).encode())])
        run_layers(tmp_path)
    before = silver(tmp_path)
    settings = load_settings(home=tmp_path, **AT_ONCE)
    with opened(settings) as lake:
        bronze = lake.scan("bronze.inventory_updates").collect().sort("offset")
        maintain(settings)
        assert lake.scan("bronze.inventory_updates").collect().sort("offset").equals(bronze)
    after = silver(tmp_path)
    assert "colour" in after["silver.inventory_updates"].columns
    assert all(before[name].equals(after[name]) for name in before)


def test_unreferenced_files_are_deleted_only_when_they_are_old(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    folder = tmp_path / "lake" / "bronze" / "inventory_updates"
    data = next(folder.rglob("*.parquet")).parent
    old, young, checksum = data / "old.parquet", data / "young.parquet", folder / "metadata" / ".x.avro.crc"
    for path in (old, young, checksum):
        path.write_bytes(b"nothing")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    maintain(load_settings(home=tmp_path))
    assert (old.exists(), young.exists(), checksum.exists()) == (False, True, True)
    maintain(load_settings(home=tmp_path, orphan_age="0s"))
    assert not young.exists()
    assert failed(load_settings(home=tmp_path)) == []


def test_a_home_with_spaces_in_its_name_is_maintained(tmp_path: Path) -> None:
    home = tmp_path / "my data ü"
    fill(home, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["my data ü"]
    assert any(of.deleted for of in maintain(load_settings(home=home, **AT_ONCE)).tables)
    assert failed(load_settings(home=home)) == []


def test_checksums_of_files_in_use_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with opened(load_settings(home=tmp_path)) as lake:
        metadata = Path(lake.table("bronze.inventory_updates").iceberg.metadata_location.removeprefix("file://"))
    checksum = metadata.with_name(f".{metadata.name}.crc")
    checksum.write_bytes(b"1234")
    maintain(load_settings(home=tmp_path, orphan_age="0s"))
    assert checksum.exists()


def test_folders_of_rebuilds_are_deleted_once_their_process_has_ended(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    dead, alive = tmp_path / "rebuild-dead", tmp_path / "rebuild-alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "rebuild.lock").touch()
    with home_lock(alive, "rebuild"):
        report = maintain(load_settings(home=tmp_path, orphan_age="0s"))
    assert report.leftovers == [str(dead)]
    assert (dead.exists(), alive.exists()) == (False, True)


def test_a_pinned_snapshot_and_all_after_it_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    settings = load_settings(home=tmp_path, **AT_ONCE)
    with opened(settings) as lake:
        table = lake.table("silver.inventory_updates")
        pinned, _, _ = table.checkpoints()[1]
        rows = table.read_appended(pinned)
        maintain(settings, pinned={pinned})
        table.reload()
        again = table.read_appended(pinned)
    assert rows is not None
    assert again is not None
    assert pl.DataFrame(pl.from_arrow(rows)).sort("_offset").equals(pl.DataFrame(pl.from_arrow(again)).sort("_offset"))


STEPS = (
    "bronze.inventory_updates.written_anew",
    "bronze.inventory_updates.files_rewritten",
    "bronze.inventory_updates.files_replaced",
    "silver.inventory_updates.written_anew",
    "silver.inventory_updates.files_replaced",
    "silver.quarantine.files_rewritten",
)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_this_step_loses_nothing_and_the_next_one_cleans_up(step: str, tmp_path: Path) -> None:
    fill(tmp_path, 3)
    before = silver(tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANIMEVERSE_")}
    command = [sys.executable, "-m", "animeverse", "--home", str(tmp_path), "maintain"]
    died = subprocess.run(command, env={**environment, "ANIMEVERSE_FAULT": step}, check=False, timeout=120)
    assert died.returncode == -9
    assert failed(load_settings(home=tmp_path)) == []
    settings = load_settings(home=tmp_path, **AT_ONCE)
    maintain(settings)
    assert not any(of.files or of.deleted for of in maintain(settings).tables)
    after = silver(tmp_path)
    assert all(before[name].equals(after[name]) for name in before)
    assert failed(settings, rebuild=True) == []


@pytest.mark.slow
def test_a_following_run_compacts_and_expires_while_it_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.microbatch.loop._IDLE_AFTER", 0.1)
    monkeypatch.setattr("pipelines.maintenance.background._PAUSE", 0.0)
    for n in range(30):
        send(tmp_path, [movement(n)], partition=n % 2)
    settings = load_settings(home=tmp_path, batch_size=1, keep_commits=3, keep_hourly=0, keep_daily=0, orphan_age="0s")
    stop = threading.Event()
    done: list[Any] = []

    def follow() -> None:
        done.append(
            run(
                settings,
                ("bronze", "silver"),
                follow=True,
                gold=None,
                clock=lambda: datetime.now(UTC),
                progress=lambda progress: None,
                stop=stop,
            )
        )

    thread = threading.Thread(target=follow)
    thread.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.3)
        with opened(settings) as lake:
            found = [lake.find(f"{layer}.inventory_updates") for layer in ("bronze", "silver")]
        if all(table is not None and table.sequence > 30 and len(table.file_paths()) < 12 for table in found):
            break
    send(tmp_path, [movement(40)], partition=0)
    time.sleep(1)
    stop.set()
    thread.join(30)
    assert done[0].judged == 31
    with opened(settings) as lake:
        bronze = lake.table("bronze.inventory_updates")
        assert len(bronze.file_paths()) < 15
        assert bronze.snapshot_count < 35
        assert bronze.committed_at() > datetime.now(UTC) - timedelta(minutes=2)  # type: ignore[operator]
    assert failed(settings, rebuild=True) == []
