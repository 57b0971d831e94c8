"""Every record that carried an event's id is found with its verdict."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.operations.trace import Trace, trace
from pipelines.quarantine.records import QuarantineFilter
from pipelines.quarantine.release import release
from tests.pipelines.small_home import DAY, TOPIC, movement, rows, run_layers, send

TOO_LATE = (DAY - timedelta(days=3)).isoformat()


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    return load_settings(home=tmp_path / "home")


def verdicts(found: Trace) -> list[tuple[str, int, int, str]]:
    return [(record.topic, record.partition, record.offset, record.verdict) for record in found.records]


def test_every_copy_of_an_event_is_found_with_its_verdict(settings: Settings) -> None:
    home = settings.home
    send(home, [movement(0), movement(1), movement(0), movement(0, quantity=9)])
    run_layers(home)
    send(home, [movement(0)], partition=2)
    run_layers(home)
    send(home, [movement(0)], partition=2)
    found = trace(settings, "e0")
    assert verdicts(found) == [
        (TOPIC, 1, 0, "accepted"),
        (TOPIC, 1, 2, "duplicate"),
        (TOPIC, 1, 3, "quarantined"),
        (TOPIC, 2, 0, "duplicate"),
        (TOPIC, 2, 1, "waiting"),
    ]
    first, same, conflicting, later, unread = found.records
    assert (first.arrival, first.lateness_seconds, first.event_time) == ("on_time", 0.0, DAY)
    assert (same.duplicate_of, later.duplicate_of, conflicting.reasons) == ((1, 0), (1, 0), ["conflicting_duplicate"])
    assert (first.batch_id, later.batch_id, unread.batch_id) == (1, 2, None)
    batches = rows(settings, "ops.batches").sort("batch_id")
    assert [first.bronze_snapshot_id, later.bronze_snapshot_id] == batches["bronze_snapshot_id"].to_list()
    assert [first.silver_snapshot_id, later.silver_snapshot_id] == batches["silver_snapshot_id"].to_list()
    assert unread.bronze_snapshot_id is None


def test_an_escaped_event_id_is_found_and_other_fields_with_its_text_are_not(settings: Settings) -> None:
    escaped = b'{"event_id": "\\u0065\\u0030", "quantity": "x"}'
    send(settings.home, [escaped, movement(1, update_id="e0"), movement(2, event_id="e00")])
    run_layers(settings.home)
    assert verdicts(trace(settings, "e0")) == [(TOPIC, 1, 0, "quarantined")]


def test_records_with_the_text_but_no_readable_event_id_are_reported_separately(settings: Settings) -> None:
    send(settings.home, [b'{"event_id": "e0", ', b'{"event_id": "e0", "event_id": "e1"}', None, b"\xff"])
    run_layers(settings.home)
    found = trace(settings, "e0")
    assert (found.records, found.unreadable) == ([], [(TOPIC, (1, 0)), (TOPIC, (1, 1))])


def test_a_release_links_the_record_and_its_copy(settings: Settings) -> None:
    send(settings.home, [movement(0), movement(1, event_time=TOO_LATE)], at=DAY)
    run_layers(settings.home)
    release(settings, QuarantineFilter(TOPIC), None, lambda note: None)
    run_layers(settings.home)
    record, copy = trace(settings, "e1").records
    assert (record.verdict, record.released_as, record.released_from) == ("quarantined", [(1, 2)], None)
    assert (copy.verdict, copy.arrival, copy.released_from) == ("accepted", "late", (1, 1))
    assert (copy.lateness_seconds or 0) > 2 * 86_400
    assert trace(settings, "e1").to_dict()["records"][1]["released_from"] == "1/1"


def test_only_the_requested_topics_are_searched(settings: Settings) -> None:
    send(settings.home, [movement(0)])
    send(settings.home, [b'{"event_id": "e0"}'], topic="cinema-sales")
    run_layers(settings.home)
    assert {record.topic for record in trace(settings, "e0").records} == {TOPIC, "cinema-sales"}
    assert [record.topic for record in trace(settings, "e0", ["cinema-sales"]).records] == ["cinema-sales"]


def test_an_unreachable_log_is_noted(settings: Settings) -> None:
    send(settings.home, [movement(0)])
    run_layers(settings.home)
    assert settings.log_path is not None
    settings.log_path.unlink()
    found = trace(settings, "e0")
    assert len(found.records) == 1
    assert any("there is no log" in note for note in found.notes)
