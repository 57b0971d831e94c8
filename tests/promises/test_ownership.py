"""R51: a lake root belongs to one catalog; copies are readable and refused for writing; moved homes work."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from animeverse.services.query import Session
from animeverse.services.relocate import relocate
from pipelines.config.settings import load_settings
from pipelines.errors import NoLakehouseError, OwnershipError
from pipelines.lake.catalog import Lake
from pipelines.lake.open_lake import open_lakehouse
from pipelines.lake.ownership import OWNER_FILE
from pipelines.maintenance.maintain import maintain
from pipelines.operations.repair import repair_catalog
from pipelines.operations.verify import verify
from tests.pipelines.small_home import movement, run_gold, run_layers, send
from warehouse.verify import gold_checks
from warehouse.writer import Warehouse


def made(home: Path, first: int = 0, count: int = 5) -> Path:
    send(home, [movement(number) for number in range(first, first + count)])
    run_layers(home, gold=True)
    return home


def failed(home: Path) -> list[str]:
    return [check.name for check in verify(load_settings(home=home), gold_checks=gold_checks) if not check.ok]


def movements(home: Path) -> int:
    with Session(load_settings(home=home)) as session:
        ((count,),) = session.run("select count(*) from silver.inventory_updates").rows
        return int(count)


def facts(home: Path) -> int:
    with Session(load_settings(home=home)) as session:
        ((count,),) = session.run("select count(*) from gold.fct_inventory_movement").rows
        return int(count)


def files(home: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (home / "lake").rglob("*") if path.is_file()}


def age(home: Path, seconds: float) -> None:
    for path in (home / "lake").rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def owner(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "lake" / OWNER_FILE).read_text())
    return found


def test_catalog_lake_root_and_tables_carry_one_lake_id(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    with closing(Lake.open(load_settings(home=home))) as lake:
        ids = {table.lake_id for name in lake.names() if (table := lake.find(name)) is not None}
        assert ids == {lake.catalog.load_namespace_properties("ops")["animeverse.lake-id"]} == {owner(home)["lake_id"]}


def test_a_copied_home_is_read_from_its_own_files(tmp_path: Path) -> None:
    home, copy = made(tmp_path / "home"), tmp_path / "copy"
    shutil.copytree(home, copy)
    made(home, 5)
    shutil.rmtree(home / "lake" / "silver")  # the copy must not need them
    assert (movements(copy), facts(copy), failed(copy)) == (5, 5, [])


@pytest.mark.parametrize("write", ["run", "maintain"])
def test_a_copied_home_is_refused_for_writing_and_changes_no_file(write: str, tmp_path: Path) -> None:
    home, copy = made(tmp_path / "home"), tmp_path / "copy"
    shutil.copytree(home, copy)
    send(copy, [movement(9)])
    age(home, 7200)
    age(copy, 7200)
    before = files(home) | files(copy)
    with pytest.raises(OwnershipError, match="animeverse relocate"):
        run_layers(copy, gold=True) if write == "run" else maintain(load_settings(home=copy, orphan_age="1s"))
    assert files(home) | files(copy) == before
    assert failed(home) == []


@pytest.mark.slow
def test_a_relocated_copy_and_its_original_go_on_independently(tmp_path: Path) -> None:
    home, copy = made(tmp_path / "home"), tmp_path / "copy"
    shutil.copytree(home, copy)
    assert relocate(load_settings(home=copy)).state == "copied"
    made(home, 5, 3)
    made(copy, 5, 7)
    for one in (home, copy):
        age(one, 7200)
        maintain(load_settings(home=one, orphan_age="1s"))
        made(one, 50, 1)
    assert (movements(home), movements(copy)) == (9, 13)
    assert (facts(home), facts(copy)) == (9, 13)
    assert (failed(home), failed(copy)) == ([], [])
    assert owner(home)["lake_id"] != owner(copy)["lake_id"]
    assert relocate(load_settings(home=copy)).tables == 0


def test_a_moved_home_is_read_at_once_and_relocates_itself_before_it_is_written(tmp_path: Path) -> None:
    home, moved = made(tmp_path / "home"), tmp_path / "elsewhere" / "home"
    lake_id = owner(home)["lake_id"]
    moved.parent.mkdir()
    home.rename(moved)
    assert (movements(moved), facts(moved), failed(moved)) == (5, 5, [])
    assert not home.exists()
    made(moved, 5)
    assert (movements(moved), facts(moved), failed(moved)) == (10, 10, [])
    assert (owner(moved)["lake_id"], owner(moved)["root"]) == (lake_id, str(moved / "lake"))
    assert not home.exists()


@pytest.mark.slow
def test_a_home_behind_a_symbolic_link_is_the_same_home(tmp_path: Path) -> None:
    home, link = made(tmp_path / "home"), tmp_path / "link"
    link.symlink_to(home)
    made(link, 5)
    assert (movements(home), failed(home), failed(link)) == (10, [], [])


def test_two_homes_over_one_lake_root_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    send(tmp_path / "one", [movement(0)])
    run_layers(tmp_path / "one", lake_root=str(root))
    send(tmp_path / "two", [movement(1)])
    with pytest.raises(OwnershipError, match=r"belongs to|knows none of them"):
        run_layers(tmp_path / "two", lake_root=str(root))
    send(tmp_path / "one", [movement(2)])
    run_layers(tmp_path / "one", lake_root=str(root))


@pytest.mark.slow
def test_a_copy_of_a_home_over_a_shared_lake_root_is_refused(tmp_path: Path) -> None:
    root = str(tmp_path / "shared")
    send(tmp_path / "one", [movement(0)])
    run_layers(tmp_path / "one", lake_root=root)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    send(tmp_path / "two", [movement(1)])
    with pytest.raises(OwnershipError, match="belongs to the catalog"):
        run_layers(tmp_path / "two", lake_root=root)


@pytest.mark.parametrize("loss", ["missing", "empty", "another"])
def test_a_lost_catalog_is_not_taken_for_a_new_lake(loss: str, tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    catalog = home / "catalog.db"
    catalog.unlink()
    if loss == "empty":
        catalog.touch()
    elif loss == "another":
        shutil.copy(made(tmp_path / "other") / "catalog.db", catalog)
    send(home, [movement(9)])
    before = files(home)
    with pytest.raises(OwnershipError, match="Nothing was changed"):
        run_layers(home, gold=True)
    assert files(home) == before
    if loss != "another":
        with pytest.raises((OwnershipError, NoLakehouseError), match="catalog"):
            open_lakehouse(load_settings(home=home))


@pytest.mark.parametrize("moved", [False, True])
def test_the_tables_of_a_lost_catalog_are_registered_from_their_newest_whole_metadata(
    moved: bool, tmp_path: Path
) -> None:
    home = made(tmp_path / "home")
    made(home, 5)
    lake_id = owner(home)["lake_id"]
    (home / "catalog.db").unlink()
    newest = max((home / "lake" / "silver" / "inventory_updates" / "metadata").glob("*.metadata.json"))
    newest.with_name(f"99999-{newest.name[6:]}").write_text(newest.read_text()[:100])  # half of a commit
    if moved:
        home = home.rename(tmp_path / "moved")
    tables = repair_catalog(load_settings(home=home))
    assert all(table.metadata for table in tables)
    assert [table.table for table in tables if table.passed_over] == ["silver.inventory_updates"]
    assert (movements(home), failed(home)) == (10, [])
    made(home, 10)
    assert (movements(home), facts(home), failed(home)) == (15, 15, [])
    assert (owner(home)["lake_id"], repair_catalog(load_settings(home=home))) == (lake_id, [])


def test_a_lost_lake_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    (home / "catalog.db").unlink()
    shutil.rmtree(home / "lake")
    with pytest.raises(OwnershipError, match="earlier lake"):
        run_layers(home, gold=True)


@pytest.mark.slow
def test_starting_over_keeps_the_old_files_aside(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    (home / "catalog.db").unlink()
    old = len(files(home))
    run_layers(home, new=True)
    run_layers(home, gold=True)
    assert (movements(home), failed(home)) == (5, [])
    assert len([path for path in (home / "lake.old-1").rglob("*") if path.is_file()]) == old


@pytest.mark.slow
def test_a_home_of_an_older_version_is_marked_at_the_next_run(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    with closing(Lake.open(load_settings(home=home))) as lake:
        lake.catalog.update_namespace_properties("ops", removals={"animeverse.lake-id"})
    (home / "lake" / OWNER_FILE).unlink()
    made(home, 5)
    assert (movements(home), failed(home)) == (10, [])
    assert owner(home)["root"] == str(home / "lake")


@pytest.mark.slow
def test_a_restored_backup_works_in_its_place_and_in_another(tmp_path: Path) -> None:
    home, backup = made(tmp_path / "home"), tmp_path / "backup"
    shutil.copytree(home, backup)
    made(home, 5)
    shutil.rmtree(home)
    shutil.copytree(backup, home)
    assert (movements(home), failed(home)) == (5, [])
    made(home, 5)
    assert (movements(home), facts(home), failed(home)) == (10, 10, [])
    shutil.rmtree(home)
    made(backup, 5)
    assert (movements(backup), facts(backup), failed(backup)) == (10, 10, [])


@pytest.mark.slow
def test_old_snapshots_stay_readable_after_a_relocation(tmp_path: Path) -> None:
    home, moved = made(tmp_path / "home"), tmp_path / "moved"
    with closing(open_lakehouse(load_settings(home=home))) as lake:
        first = lake.table("silver.inventory_updates").snapshot_id
    made(home, 5)
    home.rename(moved)
    relocate(load_settings(home=moved))
    with closing(open_lakehouse(load_settings(home=moved))) as lake:
        table = lake.table("silver.inventory_updates").iceberg
        assert table.scan(snapshot_id=first).to_arrow().num_rows == 5
        assert table.scan().to_arrow().num_rows == 10


def test_closed_days_of_a_moved_home_are_read_from_where_they_are_now(tmp_path: Path) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    days = [movement(24 * 60 * number) for number in range(12)]
    send(home, days)
    run_layers(home)
    with closing(Warehouse(home / "gold", max_open_rows=1)) as warehouse:
        run_gold(home, warehouse)
        while warehouse.archive_closed_days():
            pass
    assert list((home / "gold" / "days").rglob("*.parquet"))
    home.rename(moved)
    assert (facts(moved), failed(moved)) == (12, [])
    shutil.copytree(moved, home)  # a copy at the old place must not be needed, nor be in the way
    assert (facts(moved), facts(home), failed(moved)) == (12, 12, [])


def test_a_reader_that_wrote_to_the_published_file_and_died_blocks_no_later_reader(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    published = load_settings(home=home).published_path
    published.chmod(0o644)  # it is published read-only
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table notes (a int)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(published)], check=False)
    wal = published.with_name(f"{published.name}.wal")
    assert wal.exists()
    made(home, 5)
    assert (wal.exists(), facts(home), failed(home)) == (False, 10, [])


def test_a_published_file_that_cannot_be_opened_is_a_failed_check(tmp_path: Path) -> None:
    home = made(tmp_path / "home")
    published = load_settings(home=home).published_path
    published.unlink()
    published.write_bytes(b"no database")
    assert failed(home) == ["gold: the published file can be read"]
    run_layers(home, gold=True)
    assert (facts(home), failed(home)) == (5, [])


def test_a_relocation_of_a_copy_that_was_interrupted_ends_with_an_id_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, copy = made(tmp_path / "home"), tmp_path / "copy"
    shutil.copytree(home, copy)

    def die(name: str) -> None:
        if name == "lake.owner_written":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.lake.open_lake.fault_point", die)
        with pytest.raises(KeyboardInterrupt):
            relocate(load_settings(home=copy))
    made(copy, 5)
    assert (movements(home), movements(copy), failed(copy)) == (5, 10, [])
    assert owner(home)["lake_id"] != owner(copy)["lake_id"]


def test_a_repair_that_was_interrupted_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = made(tmp_path / "home")
    (home / "catalog.db").unlink()

    def die(name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.operations.repair.fault_point", die)
        with pytest.raises(KeyboardInterrupt):
            repair_catalog(load_settings(home=home))
    with pytest.raises(OwnershipError, match="knows none of them"):
        run_layers(home)
    assert all(table.metadata for table in repair_catalog(load_settings(home=home)))
    assert (movements(home), failed(home)) == (5, [])
