"""Every record is counted once, and contradictions between the tables are faults."""

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.bronze.writer import BronzeWriter
from pipelines.clock import utc_now
from pipelines.config.settings import Settings, load_settings
from pipelines.lake.catalog import Lake
from pipelines.log.open import open_log
from pipelines.operations.reconcile import count_topics
from pipelines.operations.record_counts import RecordCounts, TopicReconciliation
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release import release
from tests.pipelines.embedded_admin import apply_retention
from tests.pipelines.outcome import fill_log
from tests.pipelines.small_home import DAY, TOPIC, movement, run_layers, send

TOO_LATE = (DAY - timedelta(days=3)).isoformat()


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    """Two events on time, one late, one duplicate, one too late, one that breaks two rules, one line of a file."""
    home = tmp_path / "home"
    send(home, [movement(0), movement(60), movement(0), movement(1)], at=DAY + timedelta(minutes=60))
    send(home, [movement(2, event_time=TOO_LATE), movement(3, quantity="1", warehouse_id=...)], at=DAY)
    path = home / "landing" / TOPIC / "a.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no json\n")
    os.utime(path, (0, 0))
    run_layers(home)
    return load_settings(home=home)


def count(settings: Settings, topic: str = TOPIC) -> TopicReconciliation:
    return next(found for found in count_topics(settings) if found.topic == topic)


REASONS = {"invalid_json": 1, "missing:warehouse_id": 1, "too_late": 1, "type:quantity": 1}


def test_every_record_is_counted_once_by_topic_and_by_day(settings: Settings) -> None:
    found = count(settings)
    expected = RecordCounts(7, on_time=2, late=1, duplicates=1, quarantined=3, quarantined_by_reason=REASONS)
    assert (found.log, found.tally, found.faults) == (7, expected, [])
    assert found.days == {datetime.now(UTC).date(): expected}
    assert found.events == {DAY.date(): RecordCounts(on_time=2, late=1)}


def test_records_without_a_verdict_are_waiting_and_no_fault(settings: Settings) -> None:
    send(settings.home, [movement(61)])
    with closing(Lake.open(settings)) as lake, closing(open_log(settings.log_url)) as log:
        BronzeWriter(lake, log, TOPIC).next_batch(10, utc_now)
    send(settings.home, [movement(62)])  # in the log only
    found = count(settings)
    assert (found.log, found.tally.received, found.tally.waiting, found.faults) == (8, 8, 1, [])


def test_releases_are_counted_by_the_verdict_of_their_copies(settings: Settings) -> None:
    assert count(settings).releases is None
    release(settings, QuarantineFilter(TOPIC), None, lambda note: None)
    run_layers(settings.home)
    found = count(settings)
    assert found.releases is not None
    assert (found.releases.released, found.releases.accepted, found.releases.quarantined_again) == (3, 1, 2)
    assert (found.tally.received, found.faults) == (10, [])


def test_records_that_retention_removed_from_the_log_are_still_counted(settings: Settings) -> None:
    assert settings.log_path is not None
    assert apply_retention(settings.log_path, TOPIC, max_bytes=500, now=datetime.now(UTC)) > 0
    assert (count(settings).log, count(settings).faults) == (7, [])


@pytest.mark.parametrize(
    ("table", "change", "fault"),
    [
        ("silver.quarantine", 1, "accepted + duplicates + quarantined is 8"),
        ("silver.inventory_updates", 1, "accepted + duplicates + quarantined is 8"),
        ("bronze.inventory_updates", 1, "the log holds 7 records"),
        ("bronze.inventory_updates", -1, "the log holds 7 records"),
        ("ops.batches", 1, "the ledger says"),
    ],
)
def test_a_contradiction_between_the_tables_is_a_fault(table: str, change: int, fault: str, settings: Settings) -> None:
    with closing(Lake.open(settings)) as lake:
        tampered = lake.table(table)
        rows = tampered.read()
        if "partition" in rows.column_names:
            rows = rows.sort_by([("partition", "descending")])  # a record of the log first, not that of the file
        if change > 0:
            tampered.append(rows.slice(0, 1), dict(tampered.checkpoint()))
        else:
            tampered.iceberg.overwrite(rows.slice(1))
    found = count(settings)
    assert any(fault in text for text in found.faults), found.faults


def test_an_unreachable_log_is_a_fault(settings: Settings) -> None:
    assert settings.log_path is not None
    settings.log_path.unlink()
    assert count(settings).log is None
    assert any("there is no log" in fault for fault in count(settings).faults)


def test_a_generated_world_with_data_faults_adds_up(tmp_path: Path, without_settings: None) -> None:
    fill_log(tmp_path, 2_000)
    run_layers(tmp_path, batch_size=300)
    found = count_topics(load_settings(home=tmp_path))
    assert [topic.faults for topic in found] == [[]] * 7
    assert sum(topic.log or 0 for topic in found) == sum(topic.tally.received for topic in found) > 1_500
    assert sum(topic.tally.quarantined for topic in found) > 0
