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
from pipelines.errors import LogRefusedError, PermanentError, UsageError
from pipelines.lake.catalog import Lake
from pipelines.log.embedded.log import EmbeddedLog
from pipelines.operations.check import Check
from pipelines.operations.verify import verify
from pipelines.quarantine.dry_run import dry_run_release
from pipelines.quarantine.fixes import load_fix, with_exact_numbers
from pipelines.quarantine.records import QuarantineFilter, full_records
from pipelines.quarantine.release import Released, release
from tests.pipelines.small_home import DAY, TOPIC, log_records, movement, rows, run_layers, send

TOO_LATE = DAY - timedelta(days=3)


@pytest.fixture
def settings(tmp_path: Path, without_settings: None) -> Settings:
    """One accepted event, three that are too late, one of tomorrow, one of the wrong type, one that is no JSON."""
    home = tmp_path / "home"
    send(home, [movement(0)])
    late = [movement(number, event_time=TOO_LATE.isoformat()) for number in (1, 2, 3)]
    send(home, late, at=DAY, headers=[("source", b"till 7")])
    send(home, [movement(4, event_time=(datetime.now(UTC) + timedelta(days=300)).isoformat())], at=DAY)
    send(home, [movement(5, quantity="6"), b"{no json"])
    run_layers(home)
    return load_settings(home=home)


def let_go(settings: Settings, fix: str | None = None, **wanted: Any) -> Released:
    return release(settings, QuarantineFilter(TOPIC, **wanted), load_fix(fix) if fix else None, lambda note: None)


def accepted(settings: Settings) -> list[str]:
    return rows(settings, "silver.inventory_updates")["event_id"].sort().to_list()


def failed(settings: Settings) -> list[Check]:
    return [check for check in verify(settings, rebuild=True) if not check.ok]


def test_a_released_record_is_a_new_one_in_the_log_that_names_its_origin(settings: Settings) -> None:
    let_go(settings, reasons=["too_late"])
    old, new = log_records(settings.home)[1], log_records(settings.home)[-3]
    headers = {"source": b"till 7", "animeverse-release": b"inventory-updates/1/1"}
    assert {header["key"]: header["value"] for header in new["headers"]} == headers
    assert (new["key"], new["value"], new["partition"]) == (old["key"], old["value"], 1)
    noted = rows(settings, "ops.releases").sort("offset")
    assert noted.select("topic", "partition", "offset", "release_partition", "release_offset", "fix").rows() == [
        (TOPIC, 1, number, 1, 6 + number, None) for number in (1, 2, 3)
    ]
    assert noted["released_at"].min() > datetime.now(UTC) - timedelta(minutes=5)


def test_released_late_data_is_accepted_as_late_and_moves_no_high(settings: Settings) -> None:
    let_go(settings, reasons=["too_late"])
    run_layers(settings.home)
    silver = rows(settings, "silver.inventory_updates").sort("event_id")
    assert silver.select("event_id", "_arrival").rows() == [
        ("e0", "on_time"),
        ("e1", "late"),
        ("e2", "late"),
        ("e3", "late"),
    ]
    assert failed(settings) == []


def test_repeating_a_release_sends_nothing_before_or_after_silver_has_it(settings: Settings) -> None:
    assert len(let_go(settings, reasons=["too_late"]).copies) == 3
    sent = len(log_records(settings.home))
    assert let_go(settings, reasons=["too_late"]) == Released(TOPIC, [], 0, 3, 0)
    run_layers(settings.home)
    assert let_go(settings, reasons=["too_late"]).copies == []
    assert let_go(settings, places=[(1, 2)]).copies == []
    assert len(log_records(settings.home)) == sent


def test_what_fails_again_is_quarantined_again_with_a_link_and_not_sent_a_third_time(settings: Settings) -> None:
    let_go(settings, reasons=["future"])
    run_layers(settings.home)
    with closing(Lake.open(settings)) as lake:
        found, count = full_records(lake, QuarantineFilter(TOPIC, ["future"]))
    assert count == 2
    assert [(record.offset, record.origin, record.released_as) for record in found] == [
        (4, None, [(1, 7)]),
        (7, (1, 4), []),
    ]
    assert let_go(settings, reasons=["future"]).copies == []
    run_layers(settings.home)
    assert len(rows(settings, "silver.quarantine")) == 7
    assert failed(settings) == []


def test_a_fix_in_sql_makes_the_record_pass(settings: Settings, tmp_path: Path) -> None:
    fix = tmp_path / "fix.sql"
    fix.write_text("json_merge_patch(json, json_object('quantity', (json->>'quantity')::bigint)) -- a number\n")
    forecast = dry_run_release(
        settings, QuarantineFilter(TOPIC, ["type:quantity"]), load_fix(str(fix)), datetime.now(UTC)
    )
    assert (forecast.would_pass, forecast.again, forecast.left) == (1, 0, 0)
    before, after = (json.loads(value or b"") for value in (forecast.examples[0].before, forecast.examples[0].after))
    assert (before["quantity"], after["quantity"]) == ("6", 6)
    assert len(let_go(settings, str(fix), reasons=["type:quantity"]).copies) == 1
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e5"]
    assert let_go(settings, str(fix), reasons=["type:quantity"]).copies == []
    assert failed(settings) == []


def test_a_fix_in_python_makes_the_record_pass(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert let_go(settings, "release_fixes:quantity_as_number", reasons=["type"]).copies == [((1, 5), (1, 7))]
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e5"]
    assert rows(settings, "ops.releases")["fix"][0].startswith("release_fixes:quantity_as_number#")


def test_a_fix_of_null_leaves_the_record_where_it_is(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "fix.sql").write_text("case when json is not null then replace(value, '\"6\"', '6') end")
    done = let_go(settings, str(tmp_path / "fix.sql"), reasons=["type", "invalid_json"])
    assert ([record for record, _ in done.copies], done.left) == ([(1, 5)], 1)


def test_a_fix_that_fails_for_one_record_sends_none(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "fix.sql").write_text("value::json->>'event_id'")
    sent = len(log_records(settings.home))
    with pytest.raises(PermanentError, match="partition 1, offset 6: "):
        let_go(settings, str(tmp_path / "fix.sql"))
    assert len(log_records(settings.home)) == sent


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("no.sql", None),
        ("fix.sql", "quantity +"),
        ("fix.sql", "42"),
        ("fix.sql", "1) from seen; select (2"),
        ("json:no", None),
    ],
)
def test_what_is_no_fix_is_refused_before_anything_is_read(source: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        source = str(tmp_path / source)
        Path(source).write_text(text)
    with pytest.raises(UsageError, match="--fix"):
        load_fix(source)


def test_a_fix_in_sql_costs_no_digit_of_the_numbers_that_it_leaves_alone() -> None:
    old = b'{"a":99999999999999.9999,"b":[{"c":0.10000000000000000001}],"d":1.5}'
    new = b'{"a":100000000000000.0,"b":[{"c":0.1}],"d":2.5,"e":"\xc3\xa9"}'
    assert (
        with_exact_numbers(old, new)
        == b'{"a":99999999999999.9999,"b":[{"c":0.10000000000000000001}],"d":2.5,"e":"\xc3\xa9"}'
    )
    assert with_exact_numbers(old, b'{"a": 1}') == b'{"a": 1}'


def test_a_better_fix_is_tried_on_the_last_copy_only(settings: Settings, tmp_path: Path) -> None:
    fixes = [tmp_path / "worse.sql", tmp_path / "better.sql"]
    fixes[0].write_text("replace(value, '\"6\"', '-6')")
    fixes[1].write_text("replace(replace(value, '\"6\"', '6'), '-6', '6')")
    let_go(settings, str(fixes[0]), reasons=["type:quantity"])
    run_layers(settings.home)
    assert let_go(settings, str(fixes[1]), reasons=["range:quantity", "type:quantity"]).copies == [((1, 7), (1, 8))]
    assert let_go(settings, str(fixes[1]), places=[(1, 5)]).copies == []
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e5"]
    assert let_go(settings, str(fixes[0]), reasons=["type:quantity"]).copies == []
    assert failed(settings) == []


def test_a_rehearsal_says_what_would_become_of_each_and_sends_nothing(settings: Settings) -> None:
    sent = len(log_records(settings.home))
    found = dry_run_release(settings, QuarantineFilter(TOPIC), None, datetime.now(UTC))
    assert (found.would_pass, found.duplicates, found.again) == (3, 0, 3)
    assert found.reasons == {"future": 1, "invalid_json": 1, "type:quantity": 1}
    assert [example.verdict for example in found.examples].count("accepted") == 3
    assert len(log_records(settings.home)) == sent
    let_go(settings)
    run_layers(settings.home)
    assert len(accepted(settings)) == 1 + found.would_pass
    again = dry_run_release(settings, QuarantineFilter(TOPIC), None, datetime.now(UTC))
    assert (again.would_pass, again.again, again.already) == (0, 0, 9)


def test_a_rehearsal_knows_the_events_that_are_there(settings: Settings) -> None:
    send(settings.home, [movement(0, event_time=TOO_LATE.isoformat())], at=DAY)
    send(settings.home, [movement(0, quantity="9")])
    run_layers(settings.home)
    late = dry_run_release(settings, QuarantineFilter(TOPIC, places=[(1, 7)]), None, datetime.now(UTC))
    assert (late.would_pass, late.reasons) == (0, {"conflicting_duplicate": 1})


@pytest.mark.parametrize("header", [b"inventory-updates/1/0", b"inventory-updates/1/99", b"cinema-sales/1/1", b"x"])
def test_a_forged_header_buys_no_waiver(header: bytes, settings: Settings) -> None:
    forged = movement(9, event_time=TOO_LATE.isoformat())
    send(settings.home, [forged], at=DAY, headers=[("animeverse-release", header)])
    run_layers(settings.home)
    assert accepted(settings) == ["e0"]
    with closing(Lake.open(settings)) as lake:
        found, _ = full_records(lake, QuarantineFilter(TOPIC, places=[(1, 7)]))
    assert [(record.reasons, record.origin) for record in found] == [(["too_late"], None)]
    # and is not handed on, when such a record is released itself
    let_go(settings, places=[(1, 7)])
    assert log_records(settings.home)[-1]["headers"] == [
        {"key": "animeverse-release", "value": b"inventory-updates/1/7"}
    ]
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e9"]


def test_a_line_of_a_landing_file_is_released_to_a_partition_of_the_log(settings: Settings) -> None:
    path = settings.home / "landing" / TOPIC / "a.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(json.dumps(movement(7, quantity="8")).encode() + b"\n")
    os.utime(path, (0, 0))
    run_layers(settings.home)
    (settings.home / "fix.sql").write_text("replace(value, '\"8\"', '8')")
    assert [record for record, _ in let_go(settings, str(settings.home / "fix.sql"), places=[(-1, 0)]).copies] == [
        (-1, 0)
    ]
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e7"]
    headers = {
        header["key"]: header["value"] for record in log_records(settings.home) for header in record["headers"] or ()
    }
    assert headers == {
        "source": b"till 7",
        "file": b"a.ndjson",
        "line": b"1",
        "animeverse-release": b"inventory-updates/-1/0",
    }
    assert failed(settings) == []


def test_a_log_that_refuses_fails_the_release_and_nothing_is_noted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: EmbeddedLog, topic: str, records: object) -> int:
        raise LogRefusedError("the log takes nothing today")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedLog, "append", refuse)
        with pytest.raises(LogRefusedError, match=r"nothing today.*0 of 3 records"):
            let_go(settings, reasons=["too_late"])
    assert len(rows(settings, "ops.releases")) == 0
    assert len(let_go(settings, reasons=["too_late"]).copies) == 3


def test_a_log_that_fails_midway_is_noted_as_far_as_it_came(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = EmbeddedLog.append

    def half(self: EmbeddedLog, topic: str, records: Any) -> int:
        append(self, topic, records.slice(0, 2))
        raise LogRefusedError("full")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedLog, "append", half)
        with pytest.raises(LogRefusedError, match="2 of 3 records"):
            let_go(settings, reasons=["too_late"])
    assert [record for record, _ in let_go(settings, reasons=["too_late"]).copies] == [(1, 3)]
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e1", "e2", "e3"]


def test_a_place_that_is_not_in_quarantine_is_wrong_use(settings: Settings) -> None:
    with pytest.raises(UsageError, match="1/0"):
        let_go(settings, places=[(1, 0), (1, 1)])


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
def test_a_release_killed_at_this_step_is_finished_by_the_next_and_doubles_nothing(
    step: str, settings: Settings
) -> None:
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
    let_go(settings, reasons=["too_late"])
    copies = [header["value"] for record in log_records(settings.home)[7:] for header in record["headers"][1:]]
    assert sorted(copies) == [f"{TOPIC}/1/{number}".encode() for number in (1, 2, 3)]
    noted = rows(settings, "ops.releases")
    assert sorted(noted.select("offset", "release_offset").rows()) == [(1, 7), (2, 8), (3, 9)]
    run_layers(settings.home)
    assert accepted(settings) == ["e0", "e1", "e2", "e3"]
    assert rows(settings, "ops.batches")["duplicates"].sum() == 0
    assert let_go(settings, reasons=["too_late"]) == Released(TOPIC, [], 0, 3, 0)
    assert failed(settings) == []


@pytest.mark.broker
@pytest.mark.slow
def test_a_release_goes_through_a_real_broker_once(
    kafka_url: str, topic_prefix: str, tmp_path: Path, without_settings: None
) -> None:
    place = {"log_url": kafka_url, "topic_prefix": topic_prefix}
    settings = load_settings(home=tmp_path, **place)
    late = [movement(number, event_time=TOO_LATE.isoformat()) for number in (1, 2)]
    send(tmp_path, [movement(0), *late], at=DAY, headers=[("source", b"till 7")], settings=settings)
    run_layers(tmp_path, **place)
    assert let_go(settings, reasons=["too_late"]).copies == [((1, 1), (1, 3)), ((1, 2), (1, 4))]
    assert let_go(settings, reasons=["too_late"]).already == 2
    run_layers(tmp_path, **place)
    assert accepted(settings) == ["e0", "e1", "e2"]
    assert failed(settings) == []
