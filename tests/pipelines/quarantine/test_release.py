"""Releases of quarantined records: each record is sent once and accepted once (R27)."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.settings import Settings, load_settings
from pipelines.errors import LogRefusedError, UsageError
from pipelines.lake.catalog import Lake
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.quarantine.records import QuarantineFilter, full_records
from pipelines.quarantine.release import Released
from tests.pipelines.quarantine.releases import TOO_LATE, accepted_ids, failed_checks, release_records
from tests.pipelines.small_home import DAY, TOPIC, log_records, movement, rows, run_layers, send


def test_a_release_sends_a_copy_whose_header_names_the_record(settings: Settings) -> None:
    release_records(settings, reasons=["too_late"])
    old, new = log_records(settings.home)[1], log_records(settings.home)[-3]
    headers = {"source": b"till 7", "animeverse-release": b"inventory-updates/1/1"}
    assert {header["key"]: header["value"] for header in new["headers"]} == headers
    assert (new["key"], new["value"], new["partition"]) == (old["key"], old["value"], 1)
    noted = rows(settings, "ops.releases").sort("offset")
    assert noted.select("topic", "partition", "offset", "release_partition", "release_offset", "fix").rows() == [
        (TOPIC, 1, number, 1, 6 + number, None) for number in (1, 2, 3)
    ]
    assert noted["released_at"].min() > datetime.now(UTC) - timedelta(minutes=5)


def test_released_late_events_are_accepted_as_late(settings: Settings) -> None:
    release_records(settings, reasons=["too_late"])
    run_layers(settings.home)
    silver = rows(settings, "silver.inventory_updates").sort("event_id")
    assert silver.select("event_id", "_arrival").rows() == [
        ("e0", "on_time"),
        ("e1", "late"),
        ("e2", "late"),
        ("e3", "late"),
    ]
    assert failed_checks(settings) == []


def test_a_repeated_release_sends_nothing(settings: Settings) -> None:
    assert len(release_records(settings, reasons=["too_late"]).copies) == 3
    sent = len(log_records(settings.home))
    assert release_records(settings, reasons=["too_late"]) == Released(TOPIC, [], 0, 3, 0)
    run_layers(settings.home)
    assert release_records(settings, reasons=["too_late"]).copies == []
    assert release_records(settings, places=[(1, 2)]).copies == []
    assert len(log_records(settings.home)) == sent


def test_a_copy_that_fails_is_quarantined_with_its_origin_and_not_sent_again(settings: Settings) -> None:
    release_records(settings, reasons=["future"])
    run_layers(settings.home)
    with closing(Lake.open(settings)) as lake:
        found, count = full_records(lake, QuarantineFilter(TOPIC, ["future"]))
    assert count == 2
    assert [(record.offset, record.origin, record.released_as) for record in found] == [
        (4, None, [(1, 7)]),
        (7, (1, 4), []),
    ]
    assert release_records(settings, reasons=["future"]).copies == []
    run_layers(settings.home)
    assert len(rows(settings, "silver.quarantine")) == 7
    assert failed_checks(settings) == []


@pytest.mark.parametrize("header", [b"inventory-updates/1/0", b"inventory-updates/1/99", b"cinema-sales/1/1", b"x"])
def test_a_header_that_names_no_quarantined_record_waives_no_rule(header: bytes, settings: Settings) -> None:
    forged = movement(9, event_time=TOO_LATE.isoformat())
    send(settings.home, [forged], at=DAY, headers=[("animeverse-release", header)])
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0"]
    with closing(Lake.open(settings)) as lake:
        found, _ = full_records(lake, QuarantineFilter(TOPIC, places=[(1, 7)]))
    assert [(record.reasons, record.origin) for record in found] == [(["too_late"], None)]
    # The header is not kept when such a record is released itself.
    release_records(settings, places=[(1, 7)])
    assert log_records(settings.home)[-1]["headers"] == [
        {"key": "animeverse-release", "value": b"inventory-updates/1/7"}
    ]
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e9"]


def test_a_line_of_a_landing_file_is_released_to_a_partition_of_the_log(settings: Settings) -> None:
    path = settings.home / "landing" / TOPIC / "a.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(json.dumps(movement(7, quantity="8")).encode() + b"\n")
    os.utime(path, (0, 0))
    run_layers(settings.home)
    (settings.home / "fix.sql").write_text("replace(value, '\"8\"', '8')")
    assert [
        record for record, _ in release_records(settings, str(settings.home / "fix.sql"), places=[(-1, 0)]).copies
    ] == [(-1, 0)]
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e7"]
    headers = {
        header["key"]: header["value"] for record in log_records(settings.home) for header in record["headers"] or ()
    }
    assert headers == {
        "source": b"till 7",
        "file": b"a.ndjson",
        "line": b"1",
        "animeverse-release": b"inventory-updates/-1/0",
    }
    assert failed_checks(settings) == []


def test_nothing_is_recorded_if_the_log_refuses_the_records(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: EmbeddedLog, topic: str, records: object) -> int:
        raise LogRefusedError("the log is read-only")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedLog, "append", refuse)
        with pytest.raises(LogRefusedError, match=r"read-only.*0 of 3 records"):
            release_records(settings, reasons=["too_late"])
    assert len(rows(settings, "ops.releases")) == 0
    assert len(release_records(settings, reasons=["too_late"]).copies) == 3


def test_accepted_copies_are_recorded_if_the_log_fails_midway(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = EmbeddedLog.append

    def half(self: EmbeddedLog, topic: str, records: Any) -> int:
        append(self, topic, records.slice(0, 2))
        raise LogRefusedError("full")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedLog, "append", half)
        with pytest.raises(LogRefusedError, match="2 of 3 records"):
            release_records(settings, reasons=["too_late"])
    assert [record for record, _ in release_records(settings, reasons=["too_late"]).copies] == [(1, 3)]
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e1", "e2", "e3"]


def test_a_ref_that_is_not_in_quarantine_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="1/0"):
        release_records(settings, places=[(1, 0), (1, 1)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        "ops.releases.files_written:1",
        "release.intended:1",
        "release.sent:1",
        "release.noted:1",
        "release.sent:2",
        "ops.releases.files_written:2",
        "ops.releases.committed:2",
    ],
)
def test_a_killed_release_is_finished_by_the_next_without_duplicates(step: str, settings: Settings) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANIMEVERSE_")}
    code = (
        "import pipelines.quarantine.release as r; r._CHUNK_RECORDS = 2; "
        "from pipelines.config.settings import load_settings; "
        "from pipelines.quarantine.records import QuarantineFilter; "
        f"r.release(load_settings(home={str(settings.home)!r}), QuarantineFilter({TOPIC!r}, ['too_late']), None, print)"
    )
    command = [sys.executable, "-c", code]
    killed = subprocess.run(command, env={**environment, "ANIMEVERSE_FAULT": step}, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    release_records(settings, reasons=["too_late"])
    copies = [header["value"] for record in log_records(settings.home)[7:] for header in record["headers"][1:]]
    assert sorted(copies) == [f"{TOPIC}/1/{number}".encode() for number in (1, 2, 3)]
    noted = rows(settings, "ops.releases")
    assert sorted(noted.select("offset", "release_offset").rows()) == [(1, 7), (2, 8), (3, 9)]
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e1", "e2", "e3"]
    assert rows(settings, "ops.batches")["duplicates"].sum() == 0
    assert release_records(settings, reasons=["too_late"]) == Released(TOPIC, [], 0, 3, 0)
    assert failed_checks(settings) == []


@pytest.mark.broker
@pytest.mark.slow
def test_each_record_is_released_once_through_a_real_broker(
    kafka_url: str, topic_prefix: str, tmp_path: Path, without_settings: None
) -> None:
    place = {"log_url": kafka_url, "topic_prefix": topic_prefix}
    settings = load_settings(home=tmp_path, **place)
    late = [movement(number, event_time=TOO_LATE.isoformat()) for number in (1, 2)]
    send(tmp_path, [movement(0), *late], at=DAY, headers=[("source", b"till 7")], settings=settings)
    run_layers(tmp_path, **place)
    assert release_records(settings, reasons=["too_late"]).copies == [((1, 1), (1, 3)), ((1, 2), (1, 4))]
    assert release_records(settings, reasons=["too_late"]).already == 2
    run_layers(tmp_path, **place)
    assert accepted_ids(settings) == ["e0", "e1", "e2"]
    assert failed_checks(settings) == []
