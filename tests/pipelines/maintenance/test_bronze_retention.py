"""Bronze retention by age removes whole consumed days; all checks still pass, and still find damage."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.bronze.removed_range import RemovedRange
from pipelines.bronze.writer import BronzeWriter
from pipelines.config.settings import load_settings
from pipelines.errors import BronzeTruncatedError, CommitConflictError
from pipelines.lake.catalog import Lake
from pipelines.log.open import open_log
from pipelines.maintenance.background import BackgroundMaintenance, OwnedTable
from pipelines.maintenance.bronze_retention import plan_retention
from pipelines.maintenance.maintain import Report, maintain
from pipelines.microbatch.loop import run
from pipelines.operations.migrate import migrate
from pipelines.operations.reconcile import count_topics
from pipelines.operations.trace import trace
from pipelines.operations.verify import verify
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release import release
from pipelines.silver.as_of import silver_as_of
from tests.pipelines.outcome import silver
from tests.pipelines.small_home import DAY, TOPIC, movement, rows, send

pytestmark = pytest.mark.usefixtures("without_settings")
BRONZE = "bronze.inventory_updates"
MINUTES = 24 * 60  # of a day, as `movement` counts
AGE = {"bronze_retention": "7d"}
LATER = DAY + timedelta(days=30)


def ingest(home: Path, values: list[Mapping[str, Any] | bytes | None], day: int, *, partition: int = 1) -> None:
    """Send records and process them, `day` days after DAY."""
    now = DAY + timedelta(days=day)
    send(home, values, partition=partition, at=now)
    process(home, now)


def process(home: Path, now: datetime, *layers: str, **more: Any) -> None:
    settings = load_settings(home=home, **more)
    run(
        settings,
        layers or ("bronze", "silver"),
        follow=False,
        gold=None,
        clock=lambda: now,
        progress=lambda progress: None,
        stop=threading.Event(),
    )


def fill(home: Path) -> None:
    """Ten days, each with an accepted record, its duplicate and a broken record, in two partitions."""
    settings = load_settings(home=home)
    with closing(open_log(settings.log_url)) as log, opened(home) as lake:
        log.ensure_topics([TOPIC])
        writer = BronzeWriter(lake, log, TOPIC)
        for day in range(10):
            new, now = movement(day * MINUTES), DAY + timedelta(days=day)
            send(home, [new, new, b"broken"], partition=day % 2, at=now)
            writer.next_batch(100, partial(lambda at: at, now))
    process(home, now)


def maintained(home: Path, now: datetime, **more: Any) -> Report:
    return maintain(load_settings(home=home, **{**AGE, **more}), clock=lambda: now)


def removed(report: Report) -> int:
    return sum(of.removed for of in report.tables)


def failed(home: Path) -> list[str]:
    settings = load_settings(home=home)
    found = [f"{check.name}: {check.detail}" for check in verify(settings) if not check.ok]
    return found + [fault for topic in count_topics(settings) for fault in topic.faults]


def remaining_days(home: Path) -> list[int]:
    """The days after DAY of the records in bronze."""
    found = rows(load_settings(home=home), BRONZE)["ingested_at"]
    return sorted({(at - DAY).days for at in found})


@contextmanager
def opened(home: Path) -> Iterator[Lake]:
    with closing(Lake.open(load_settings(home=home))) as lake:
        yield lake


def removed_range(home: Path) -> RemovedRange:
    with opened(home) as lake:
        return RemovedRange.of(lake.table(BRONZE))


def remove_rows(home: Path, table: str, where: str) -> None:
    """Damage a table as no part of the pipeline does."""
    with opened(home) as lake:
        lake.table(table).iceberg.delete(where)


def test_bronze_is_kept_unless_an_age_is_set(tmp_path: Path) -> None:
    fill(tmp_path)
    assert removed(maintain(load_settings(home=tmp_path), clock=lambda: LATER)) == 0
    assert remaining_days(tmp_path) == list(range(10))


def test_whole_days_older_than_the_age_are_removed_and_all_checks_pass(tmp_path: Path) -> None:
    fill(tmp_path)
    before = silver(tmp_path)
    now = DAY + timedelta(days=10)  # noon: half of day 3 is younger than a week
    planned = maintain(load_settings(home=tmp_path, **AGE), dry_run=True, clock=lambda: now)
    assert removed(planned) == 9
    assert remaining_days(tmp_path) == list(range(10))
    assert removed(maintained(tmp_path, now)) == 9
    assert remaining_days(tmp_path) == list(range(3, 10))
    assert removed_range(tmp_path) == RemovedRange(3, "2026-03-13", {0: 6, 1: 3}, {0: 6, 1: 3})
    assert failed(tmp_path) == []
    after = silver(tmp_path)
    assert all(before[name].equals(after[name]) for name in before)
    counted = next(of for of in count_topics(load_settings(home=tmp_path)) if of.topic == TOPIC)
    assert (counted.tally.received, counted.tally.on_time, counted.tally.duplicates) == (30, 10, 10)
    assert counted.days[DAY.date() + timedelta(days=4)].received == 3


def test_a_second_call_removes_nothing_and_a_later_one_continues(tmp_path: Path) -> None:
    fill(tmp_path)
    now = DAY + timedelta(days=10)
    maintained(tmp_path, now)
    assert removed(maintained(tmp_path, now)) == 0
    assert removed(maintained(tmp_path, now + timedelta(days=2))) == 6
    assert sum(removed_range(tmp_path).rows.values()) == 15
    assert failed(tmp_path) == []


def test_records_that_silver_has_not_consumed_are_kept(tmp_path: Path) -> None:
    fill(tmp_path)
    send(tmp_path, [movement(20 * MINUTES)], partition=0, at=DAY + timedelta(days=20))
    process(tmp_path, DAY + timedelta(days=20), "bronze")
    send(tmp_path, [movement(40 * MINUTES)], partition=0, at=DAY + timedelta(days=40))
    process(tmp_path, DAY + timedelta(days=40), "bronze")
    maintained(tmp_path, DAY + timedelta(days=60))
    assert 20 in remaining_days(tmp_path)
    process(tmp_path, DAY + timedelta(days=60))
    assert failed(tmp_path) == []


def test_records_that_a_duplicate_may_be_compared_with_are_kept_at_any_age(tmp_path: Path) -> None:
    fill(tmp_path)
    maintained(tmp_path, LATER)
    assert remaining_days(tmp_path) == [7, 8, 9]  # 48 h before the newest event
    same, other = movement(9 * MINUTES), movement(9 * MINUTES, quantity=5)
    ingest(tmp_path, [same, other], 30)
    found = rows(load_settings(home=tmp_path), "silver.quarantine").filter(pl.col("offset") >= 15)
    assert found["detail"].to_list() == ["an accepted event has this event_id and other content"]
    assert failed(tmp_path) == []


def test_master_data_is_kept(tmp_path: Path) -> None:
    for day in range(3):
        delete = {"event_id": f"d{day}", "event_type": "delete", "event_time": DAY.isoformat(), "title_id": f"T{day}"}
        send(tmp_path, [delete], topic="anime-schedule", at=DAY + timedelta(days=day))
        process(tmp_path, DAY + timedelta(days=day))
    assert removed(maintained(tmp_path, LATER)) == 0


def test_a_run_continues_and_quarantines_duplicates_whose_first_record_was_removed(tmp_path: Path) -> None:
    fill(tmp_path)
    maintained(tmp_path, LATER)
    ingest(tmp_path, [movement(30 * MINUTES)], 30)
    # A new partition has no horizon: its duplicates are looked up in all of silver.
    ingest(tmp_path, [movement(0), movement(29 * MINUTES)], 30, partition=3)
    found = rows(load_settings(home=tmp_path), "silver.quarantine").filter(pl.col("partition") == 3)
    assert found["reasons"].to_list() == [["conflicting_duplicate"]]
    assert "does not hold its record any more" in found["detail"][0]
    assert failed(tmp_path) == []
    assert removed(maintained(tmp_path, LATER + timedelta(days=30))) > 0
    assert failed(tmp_path) == []


def test_a_record_missing_after_the_removed_range_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    maintained(tmp_path, LATER)
    remove_rows(tmp_path, BRONZE, "partition = 0 and offset = 13")
    names = " ".join(failed(tmp_path))
    assert "the log's records = bronze's: 1 off, at partition/offset 0/13" in names
    assert "the ledger equals the recount" in names


@pytest.mark.parametrize("table", ["silver.inventory_updates", "silver.quarantine"])
def test_a_silver_row_missing_in_the_removed_range_is_found_and_stops_retention(tmp_path: Path, table: str) -> None:
    fill(tmp_path)
    maintained(tmp_path, DAY + timedelta(days=10))
    prefix = "_" if table.endswith("updates") else ""
    remove_rows(tmp_path, table, f"{prefix}partition = 1 and {prefix}offset >= 0 and {prefix}offset < 6")
    names = " ".join(failed(tmp_path))
    assert "silver and quarantine hold what the ledger says of it: batch 2 partition 1" in names
    report = maintained(tmp_path, LATER)
    assert removed(report) == 0
    assert any("retention removed nothing" in (of.note or "") for of in report.tables)
    assert remaining_days(tmp_path) == list(range(3, 10))


@pytest.mark.parametrize("change", [{"rows": {"0": 5, "1": 3}}, {"through": 2}, {"offsets": {"0": 6, "1": 6}}])
def test_a_changed_removed_range_is_found(tmp_path: Path, change: dict[str, Any]) -> None:
    fill(tmp_path)
    maintained(tmp_path, DAY + timedelta(days=10))
    with opened(tmp_path) as lake:
        table = lake.table(BRONZE)
        table.set_properties({"cut": json.dumps(json.loads(table.properties()["cut"]) | change)})
    assert failed(tmp_path) != []


def test_silver_is_never_rebuilt_from_truncated_bronze(tmp_path: Path) -> None:
    fill(tmp_path)
    maintained(tmp_path, LATER)
    with pytest.raises(BronzeTruncatedError, match=r"BRONZE_RETENTION has removed 21 records of batches up to 7"):
        verify(load_settings(home=tmp_path), rebuild=True)
    with opened(tmp_path) as lake:
        lake.catalog.drop_table("silver.inventory_updates")
    with pytest.raises(BronzeTruncatedError, match="restore it from a backup"):
        process(tmp_path, LATER)


def test_a_quarantined_record_is_released_after_its_bronze_record_was_removed(tmp_path: Path) -> None:
    for day in range(10):
        ingest(tmp_path, [movement(day * MINUTES)], day)
        if day == 4:
            ingest(tmp_path, [movement(5)], day)  # too late by two days
    maintained(tmp_path, LATER)
    settings = load_settings(home=tmp_path)
    assert removed_range(tmp_path).has(1, 5)
    done = release(settings, QuarantineFilter(TOPIC, reasons=("too_late",)), None, lambda text: None)
    assert len(done.copies) == 1
    process(tmp_path, datetime.now(UTC))
    assert "e5" in rows(settings, "silver.inventory_updates")["event_id"]
    assert len(release(settings, QuarantineFilter(TOPIC, reasons=("too_late",)), None, lambda text: None).copies) == 0
    assert failed(tmp_path) == []


def test_an_event_is_traced_after_its_bronze_record_was_removed(tmp_path: Path) -> None:
    fill(tmp_path)
    ingest(tmp_path, [movement(9 * MINUTES + 1, quantity=-1)], 9)
    ingest(tmp_path, [movement(25 * MINUTES)], 25)
    maintained(tmp_path, LATER + timedelta(days=30))
    settings = load_settings(home=tmp_path)
    (record,) = trace(settings, "e0").records
    assert (record.partition, record.offset, record.batch_id, record.verdict) == (0, 0, 1, "accepted")
    assert (record.is_removed, record.value) == (True, None)
    (broken,) = trace(settings, f"e{9 * MINUTES + 1}").records
    assert (broken.verdict, broken.is_removed, broken.value is not None) == ("quarantined", True, True)
    assert "retention removed" in trace(settings, "e0").notes[0]


def test_silver_as_of_a_time_is_the_same_after_its_bronze_records_were_removed(tmp_path: Path) -> None:
    fill(tmp_path)
    moment = DAY + timedelta(days=4)
    with opened(tmp_path) as lake:
        before = silver_as_of(lake, moment)
    maintained(tmp_path, LATER)
    with opened(tmp_path) as lake:
        after = silver_as_of(lake, moment)
    assert after.partitions.equals(before.partitions)
    assert {name: len(table) for name, table in after.tables.items()} == {n: len(t) for n, t in before.tables.items()}


def test_the_removed_range_and_the_offsets_survive_the_expiry_of_all_snapshots_with_the_rows(tmp_path: Path) -> None:
    fill(tmp_path)
    at_once: dict[str, Any] = {"orphan_age": "0s", "keep_commits": 1, "keep_hourly": 0, "keep_daily": 0}
    with opened(tmp_path) as lake:
        checkpoint = dict(lake.table(BRONZE).checkpoint())
    for _ in range(2):
        maintained(tmp_path, datetime.now(UTC), **at_once)
    with opened(tmp_path) as lake:
        table = lake.table(BRONZE)
        assert dict(table.checkpoint()) == checkpoint
        assert table.snapshot_count <= 2
        assert RemovedRange.of(table).through == 7
    files = (tmp_path / "lake" / "bronze" / "inventory_updates").rglob("*.parquet")
    assert {path.parent.name for path in files} == {f"ingested_at_day=2026-03-{day}" for day in (17, 18, 19)}
    ingest(tmp_path, [movement(31 * MINUTES)], 31)
    assert failed(tmp_path) == []


def test_only_whole_batches_are_removed_after_the_clock_was_set_back(tmp_path: Path) -> None:
    for day in (0, 5, 1, 6, 30):
        ingest(tmp_path, [movement(day * MINUTES)], day)
    maintained(tmp_path, DAY + timedelta(days=12))
    assert remaining_days(tmp_path) == [1, 5, 6, 30]
    assert removed_range(tmp_path).through == 1
    assert failed(tmp_path) == []


def test_background_maintenance_removes_old_days(tmp_path: Path) -> None:
    fill(tmp_path)
    now, messages = LATER, list[str]()
    with opened(tmp_path) as lake:
        owned = OwnedTable(lake.table(BRONZE), lambda work: work())
        maintenance = BackgroundMaintenance(lake, load_settings(home=tmp_path, **AGE), lambda: now, messages.append)
        deadline = time.monotonic() + 30
        while not messages and time.monotonic() < deadline:
            maintenance.step([owned])
            now += timedelta(minutes=1)
            time.sleep(0.02)
        maintenance.close()
        assert messages == [f"{BRONZE}: 21 records older than the retention were removed"]
        assert RemovedRange.of(owned.table).through == 7
    assert remaining_days(tmp_path) == [7, 8, 9]
    assert failed(tmp_path) == []


def test_a_plan_is_not_committed_after_another_maintenance_removed_records(tmp_path: Path) -> None:
    fill(tmp_path)
    settings = load_settings(home=tmp_path, **AGE)
    with opened(tmp_path) as lake:
        plan = plan_retention(lake, BRONZE, settings, LATER)
        assert plan is not None
        stale = lake.table(BRONZE)
        maintained(tmp_path, DAY + timedelta(days=10))
        for table in (stale, lake.table(BRONZE)):
            with pytest.raises(CommitConflictError):
                plan.commit(table)
    assert removed_range(tmp_path).through == 3


def test_a_migrated_lakehouse_keeps_the_removed_range(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill(home)
    maintained(home, LATER)
    place = {"catalog_url": f"sqlite:///{tmp_path / 'new.db'}", "lake_root": str(tmp_path / "new")}
    target = load_settings(home=home, **place)
    migrate(load_settings(home=home), target, lambda: LATER)
    with closing(Lake.open(target)) as lake:
        assert RemovedRange.of(lake.table(BRONZE)) == removed_range(home)
    assert [check.detail for check in verify(target) if not check.ok] == []


@pytest.mark.slow
@pytest.mark.parametrize("step", ["rows_removing", "rows_removed"])
def test_a_process_killed_while_it_removes_records_loses_nothing_and_the_next_one_finishes(
    step: str, tmp_path: Path
) -> None:
    fill(tmp_path)
    ingest(tmp_path, [movement(30 * MINUTES)], 30)
    before = silver(tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANIMEVERSE_")}
    environment |= {"ANIMEVERSE_FAULT": f"{BRONZE}.{step}", "ANIMEVERSE_BRONZE_RETENTION": "7d"}
    command = [sys.executable, "-m", "animeverse", "--home", str(tmp_path), "maintain"]
    assert subprocess.run(command, env=environment, check=False, timeout=120).returncode == -9
    assert remaining_days(tmp_path) == ([*range(10), 30] if step == "rows_removing" else [30])
    assert failed(tmp_path) == []
    maintained(tmp_path, datetime.now(UTC))
    assert remaining_days(tmp_path) == [30]
    assert failed(tmp_path) == []
    assert all(before[name].equals(found) for name, found in silver(tmp_path).items())
