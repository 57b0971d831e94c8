"""Publication: readers never wait and never see part of a refresh. Files of old days are removed when unused."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import AlreadyRunningError, CheckFailedError, StoreUnavailableError
from tests.warehouse.compare import differences, read_tables
from tests.warehouse.silver_world import NOW, Silver, at, changes_of
from warehouse import checks
from warehouse.storage import publish
from warehouse.storage.connection import BLOCK
from warehouse.writer import Warehouse

COUNT = "select count(*) from gold.fct_sales"


def days_of_sales(first: int, last: int, start: int = 0) -> Silver:
    silver = Silver()
    silver._number = start
    for day in range(first, last + 1):
        for hour in range(4):
            silver.sale(at(f"03-{day:02d} {hour:02d}:00"), [("P1", 1, "10"), ("P2", 2, "1.5/0.25")], f"C{hour}")
        silver.movement(at(f"03-{day:02d} 05:00"), "P1", 5)
    return silver


def open_days_of(warehouse: Warehouse) -> list[int]:
    rows = warehouse._connection.execute("select distinct date_key from work.fct_sales order by all").fetchall()
    return [key % 100 for (key,) in rows]


def count(file: Path) -> int:
    with duckdb.connect(str(file), read_only=True) as connection:
        return int(connection.execute(COUNT).fetchall()[0][0])


def files(folder: Path) -> set[Path]:
    return set((folder / "days").rglob("*.parquet"))


def test_an_open_reader_keeps_its_refresh_and_a_new_reader_sees_the_next(warehouse: Warehouse) -> None:
    silver = days_of_sales(1, 2)
    first = warehouse.refresh(changes_of(silver.rows), NOW).refresh_id
    with duckdb.connect(str(warehouse.published), read_only=True) as reader:
        assert reader.execute(COUNT).fetchall() == [(16,)]
        warehouse.refresh(changes_of(days_of_sales(3, 3, start=100).rows, snapshot=2), NOW)
        assert reader.execute(COUNT).fetchall() == [(16,)]
        assert reader.execute("select max(refresh_id) from gold.refreshes").fetchall() == [(first,)]
        other = f"import duckdb; print(duckdb.connect({str(warehouse.published)!r}, read_only=True).sql({COUNT!r}))"
        seen = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True, cwd="/")
    assert "24" in seen.stdout
    assert warehouse.reflected()["silver.pos_items"] == 2


def test_closed_days_are_files_and_read_like_open_days(tmp_path: Path) -> None:
    silver = days_of_sales(1, 9)
    unsplit, split = Warehouse(tmp_path / "unsplit"), Warehouse(tmp_path / "split", max_open_rows=20, open_days=2)
    for warehouse in (unsplit, split):
        warehouse.refresh(changes_of(silver.rows), NOW)
    # sales, movements, stock, engagement, products; the last two days are open
    assert len(files(split.gold_dir)) == 5 * 7
    assert differences(read_tables(unsplit.published), read_tables(split.published)) == []
    late = days_of_sales(2, 2, start=500)
    for warehouse in (unsplit, split):
        warehouse.refresh(changes_of(late.rows), NOW)
    assert differences(read_tables(unsplit.published), read_tables(split.published)) == []
    unsplit.close()
    split.close()


def test_only_changed_closed_days_are_rewritten_and_old_files_are_removed_after_the_grace_period(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=3600.0)
    warehouse.refresh(changes_of(days_of_sales(1, 6).rows), NOW)
    before = files(warehouse.gold_dir)
    touched = Silver()
    touched._number = 500
    touched.sale(at("03-02 12:00"), [("P1", 1, "10")])
    warehouse.refresh(changes_of(touched.rows), NOW)
    after = files(warehouse.gold_dir)
    assert before < after  # a reader of the old publication finds its files
    assert {path.parent.name for path in after - before} == {"date_key=20260302"}
    warehouse.close()
    for path in after:
        os.utime(path, (time.time() - 7200,) * 2)
    again = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=3600.0)
    assert len(files(again.gold_dir)) == len(before)
    assert count(again.published) == 6 * 8 + 1
    again.close()


def test_a_moved_home_is_published_again_in_its_new_folder(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "old" / "gold", max_open_rows=0, open_days=1)
    warehouse.refresh(changes_of(days_of_sales(1, 4).rows), NOW)
    warehouse.close()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = Warehouse(tmp_path / "new" / "gold", max_open_rows=0, open_days=1)
    assert count(moved.published) == 32
    moved.close()


def test_the_next_start_publishes_a_commit_that_a_crash_left_unpublished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 1).rows), NOW)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            warehouse.refresh(changes_of(days_of_sales(2, 2, start=100).rows, snapshot=2), NOW)
    warehouse.close()
    assert count(tmp_path / "gold" / publish.PUBLISHED) == 8
    again = Warehouse(tmp_path / "gold")
    assert count(again.published) == 16
    assert again.reflected()["silver.pos_items"] == 2
    again.close()


def test_a_failing_check_commits_and_publishes_nothing_and_names_the_rows(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.refresh(changes_of(days_of_sales(1, 1).rows), NOW)
    planted = checks.Check("gold.fct_sales", "fail", "nothing costs 10", "select event_id from changed.fct_sales")
    with monkeypatch.context() as patch:
        patch.setattr(checks, "checks_of", lambda model: (planted,) if model.name == "fct_sales" else ())
        with pytest.raises(CheckFailedError, match=r"gold\.fct_sales: nothing costs 10: 8 rows violate this.*E00101"):
            warehouse.refresh(changes_of(days_of_sales(2, 2, start=100).rows, snapshot=2), NOW)
    assert count(warehouse.published) == 8
    assert warehouse.reflected()["silver.pos_items"] == 1
    warehouse.refresh(changes_of(days_of_sales(2, 2, start=100).rows, snapshot=2), NOW)
    assert count(warehouse.published) == 16


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 1).rows), NOW)  # copying must not have dropped the lock
    other = (
        "import pathlib; from warehouse.writer import Warehouse\n"
        f"try: Warehouse(pathlib.Path({str(warehouse.gold_dir)!r}))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    seen = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == AlreadyRunningError.__name__
    warehouse.close()


def test_a_file_of_other_models_or_seeds_is_discarded(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "gold", tmp_path / "no seeds")
    warehouse.refresh(changes_of(days_of_sales(1, 1).rows), NOW)
    warehouse.close()
    again = Warehouse(tmp_path / "gold", tmp_path / "no seeds")
    assert again.reflected() != {}
    again.close()
    seeded = Warehouse(tmp_path / "gold")
    assert seeded.reflected() == {}
    assert count(seeded.published) == 8  # readers keep what there is until it is rebuilt
    seeded.close()


def test_free_space_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "is_mostly_free", lambda _: True)
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
    warehouse.refresh(changes_of(days_of_sales(1, 4).rows), NOW)
    warehouse.refresh(changes_of(days_of_sales(5, 6, start=100).rows), NOW)
    assert count(warehouse.published) == 48
    warehouse.close()


def test_files_of_a_publication_exist_until_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catch-up is killed between two publications after it replaced the file of a closed day."""
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
    warehouse.refresh(changes_of(days_of_sales(1, 5).rows), NOW)
    before = count(warehouse.published)
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    monkeypatch.setattr("warehouse.storage.day_archiver.MAX_CATCH_UP_ROWS", 0)
    warehouse.publication.wait(float("inf"))
    late = Silver()
    late._number = 900
    late.sale(at("03-02 12:00"), [("P1", 1, "10")], "C1")
    assert not warehouse.refresh(changes_of(late.rows, snapshot=2), NOW).published
    warehouse.close()
    seen = []
    replace = publish.replace

    def watched(descriptor: int, target: Path) -> int:
        seen.append(count(target))
        return replace(descriptor, target)

    monkeypatch.setattr(publish, "replace", watched)
    again = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=0.0)
    assert seen == [before]
    assert count(again.published) == before + 1
    again.close()


def after_a_catch_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Sales of ten days in one large refresh, all days open; only the last one may stay open."""
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
    with monkeypatch.context() as catching_up:
        catching_up.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
        warehouse.refresh(changes_of(days_of_sales(1, 10).rows), NOW)
    assert open_days_of(warehouse) == list(range(1, 11))
    return warehouse


def test_an_idle_run_closes_what_a_catch_up_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.storage.day_archiver.DAYS_AT_ONCE", 4)
    warehouse = after_a_catch_up(tmp_path, monkeypatch)
    for left in ([5, 6, 7, 8, 9, 10], [9, 10], [10]):
        assert warehouse.archive_closed_days()
        assert open_days_of(warehouse) == left
        with duckdb.connect(str(warehouse.published), read_only=True) as reader:
            ((files,),) = reader.execute("select count(distinct date_key) from work.closed_days").fetchall()
        assert files == 10 - len(left)
        assert count(warehouse.published) == 80
    assert not warehouse.archive_closed_days()
    warehouse.close()
    empty = Warehouse(tmp_path / "empty")
    assert not empty.archive_closed_days()
    empty.close()


def test_a_crash_between_closing_days_and_publication_leaves_readers_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late rows of a closed day go to a new file of the day; the published file still names the old file."""
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
    warehouse.refresh(changes_of(days_of_sales(1, 5).rows), NOW)
    with monkeypatch.context() as later:
        later.setattr(warehouse.archiver, "nothing_older", (at("03-05 00:00").date(), 1))
        warehouse.refresh(changes_of(days_of_sales(2, 2, start=900).rows, snapshot=2), NOW)
    assert open_days_of(warehouse) == [2, 5]

    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(warehouse, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        warehouse.archive_closed_days()
    assert open_days_of(warehouse) == [5]
    warehouse.close()
    again = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=0.0)
    assert count(again.published) == 48
    again.close()


def test_small_refreshes_close_what_a_catch_up_left_open_some_days_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After years of open days, one small refresh would otherwise take a minute."""
    monkeypatch.setattr("warehouse.storage.day_archiver.DAYS_AT_ONCE", 4)
    warehouse = after_a_catch_up(tmp_path, monkeypatch)
    for number, left in enumerate(([5, 6, 7, 8, 9, 10], [9, 10], [10], [10]), start=1):
        late = days_of_sales(10, 10, start=1_000 * number)
        warehouse.refresh(changes_of(late.rows, snapshot=1 + number), NOW)
        assert open_days_of(warehouse) == left
        assert count(warehouse.published) == 80 + 8 * number
    warehouse.close()


def test_a_day_reopened_by_late_data_is_closed_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.storage.day_archiver.LOOK_EVERY", 3)
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
    found = []
    for number, day in enumerate((1, 10, 10, 10, 1, 10, 10), start=1):
        warehouse.refresh(changes_of(days_of_sales(day, day, start=1_000 * number).rows, snapshot=number), NOW)
        found.append(open_days_of(warehouse))
    assert found == [[1], [10], [10], [10], [1, 10], [1, 10], [10]]
    assert count(warehouse.published) == 8 * 7
    warehouse.close()


def test_a_catch_up_closes_days_if_it_leaves_too_many_open_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `run --once` of a long history opens gold again and does not know the rows that earlier runs left."""
    monkeypatch.setattr("warehouse.storage.publication_policy.CATCH_UP_ROWS", 1)
    monkeypatch.setattr("warehouse.storage.day_archiver.MAX_CATCH_UP_ROWS", 100)
    found = []
    for number, (first, last) in enumerate(((1, 6), (7, 12), (13, 13)), start=1):
        warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1)
        rows = days_of_sales(first, last, start=1_000 * number).rows
        warehouse.refresh(changes_of(rows, snapshot=number), NOW)
        found.append(open_days_of(warehouse))
        warehouse.close()
    assert found == [[1, 2, 3, 4, 5, 6], [12], [12, 13]]
    assert count(warehouse.published) == 8 * 13


def test_a_rebuild_leaves_readers_of_the_publication_their_files(tmp_path: Path) -> None:
    """Its refreshes have the numbers of earlier ones, and the old files are older than the grace period."""
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=3600.0)
    warehouse.refresh(changes_of(days_of_sales(1, 5).rows), NOW)
    before = files(warehouse.gold_dir)
    held = {path: path.read_bytes() for path in before}
    for path in before:
        os.utime(path, (time.time() - 7200,) * 2)
    with duckdb.connect(":memory:") as reader:
        reader.execute(f"attach '{warehouse.published}' as held (read_only); use held")
        more = days_of_sales(1, 5)
        more.sale(at("03-02 12:00"), [("P1", 1, "10")], "C1")
        warehouse.discard()
        warehouse.refresh(changes_of(more.rows, snapshot=2), NOW)
        assert count(warehouse.published) == 41
        assert reader.execute(COUNT).fetchall() == [(40,)]
        assert {path: path.read_bytes() for path in before} == held
        warehouse.close()
        again = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=3600.0)
        assert reader.execute("select sum(net_quantity) from gold.fct_inventory_daily").fetchall() == [(25,)]
        again.close()
    for path in before:
        os.utime(path, (time.time() - 7200,) * 2)
    last = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=3600.0)
    assert not before & files(last.gold_dir)
    assert count(last.published) == 41
    last.close()


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_rebuild", [True, False])
def test_a_crash_before_publication_does_not_shorten_the_grace_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_rebuild: bool
) -> None:
    """An hour later gold is opened again, and the new publication names other files than an open reader."""
    warehouse = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=600.0)
    warehouse.refresh(changes_of(days_of_sales(1, 5).rows), NOW)
    with duckdb.connect(":memory:") as reader:
        reader.execute(f"attach '{warehouse.published}' as held (read_only); use held")
        if is_rebuild:
            warehouse.discard()
        monkeypatch.setattr(warehouse, "_publish", killed)
        more = days_of_sales(1, 6) if is_rebuild else days_of_sales(2, 2, start=900)
        with pytest.raises(KeyboardInterrupt):
            warehouse.refresh(changes_of(more.rows, snapshot=2), NOW)
        warehouse.close()
        for path in files(warehouse.gold_dir):
            os.utime(path, (time.time() - 3600,) * 2)
        again = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1, grace=600.0)
        assert count(again.published) == 48
        assert reader.execute(COUNT).fetchall() == [(40,)]
        again.close()


def test_a_moved_home_with_an_interrupted_publication_is_published_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(tmp_path / "old" / "gold", max_open_rows=0, open_days=1)
    warehouse.refresh(changes_of(days_of_sales(1, 4).rows), NOW)
    warehouse.close()
    (tmp_path / "old").rename(tmp_path / "new")
    with monkeypatch.context() as cut:
        cut.setattr(Warehouse, "_publish", killed)
        with pytest.raises(KeyboardInterrupt):
            Warehouse(tmp_path / "new" / "gold", max_open_rows=0, open_days=1)
    gc.collect()  # what the constructor had opened is closed with it
    again = Warehouse(tmp_path / "new" / "gold", max_open_rows=0, open_days=1)
    assert count(again.published) == 32
    again.close()


@pytest.mark.parametrize("zone", ["JST", "CET-1CEST", "Asia/Tokyo"])
def test_gold_can_be_opened_in_every_time_zone(tmp_path: Path, zone: str) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 1).rows), NOW)
    warehouse.close()
    code = (
        f"from pathlib import Path; from warehouse.writer import Warehouse; Warehouse(Path({str(tmp_path / 'gold')!r}))"
    )
    environment = {**os.environ, "TZ": zone, "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_rebuild_killed_before_publication_is_published_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same refresh number as the published file."""
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 2).rows), NOW)
    warehouse.discard()
    monkeypatch.setattr(warehouse, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        warehouse.refresh(changes_of(days_of_sales(1, 3).rows, snapshot=2), NOW)
    warehouse.close()
    assert count(warehouse.published) == 16
    again = Warehouse(tmp_path / "gold")
    assert count(again.published) == 24
    again.close()


@pytest.mark.parametrize("damage", ["other", "header", "short", "zeros"])
def test_a_file_that_cannot_be_opened_is_reported_and_can_be_rebuilt(tmp_path: Path, damage: str) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 2).rows), NOW)
    warehouse.close()
    file = tmp_path / "gold" / "writer.duckdb"
    good = file.read_bytes()
    damaged = {
        "other": b"not a database" * 1000,
        "header": good[:5000] + bytes(byte ^ 255 for byte in good[5000:5100]) + good[5100:],
        "short": good[:4096],
        "zeros": good[:12288] + bytes(len(good) - 12288),
    }
    file.write_bytes(damaged[damage])
    with pytest.raises(StoreUnavailableError, match="rebuild gold"):
        Warehouse(tmp_path / "gold")
    fresh = Warehouse(tmp_path / "gold", discard_existing=True)
    assert fresh.reflected() == {}
    assert count(fresh.published) == 16
    fresh.refresh(changes_of(days_of_sales(1, 3).rows), NOW)
    assert count(fresh.published) == 24
    fresh.close()


def test_a_damaged_block_that_a_refresh_reads_is_reported(tmp_path: Path) -> None:
    """Opening reads no data, and DuckDB chooses the blocks of a table, so each block is damaged in turn."""
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 9).rows), NOW)
    warehouse.close()
    file = tmp_path / "gold" / "writer.duckdb"
    good = file.read_bytes()
    for start in range(12_288, len(good), BLOCK):
        bad = start + BLOCK // 3
        file.write_bytes(good[:bad] + bytes(byte ^ 255 for byte in good[bad : bad + 64]) + good[bad + 64 :])
        try:
            damaged = Warehouse(tmp_path / "gold")
        except StoreUnavailableError:
            continue
        try:
            damaged.refresh(changes_of(days_of_sales(9, 10, start=1000).rows, snapshot=2), NOW)
        except StoreUnavailableError as error:
            assert "rebuild gold" in str(error)
            return
        finally:
            damaged.close()
    raise AssertionError("no refresh came upon a damaged block")


def test_a_file_open_in_another_process_is_not_discarded(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "gold")
    warehouse.refresh(changes_of(days_of_sales(1, 2).rows), NOW)
    warehouse.close()
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "gold" / "writer.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(AlreadyRunningError, match=str(other.pid)):
            Warehouse(tmp_path / "gold", discard_existing=True)
        other.communicate("\n")
    again = Warehouse(tmp_path / "gold")
    assert again.reflected() != {}
    again.close()
