"""Fixes in SQL and Python, and releases with them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.config.settings import Settings
from pipelines.errors import PermanentError, UsageError
from pipelines.quarantine.dry_run import dry_run_release
from pipelines.quarantine.fixes import load_fix, with_exact_numbers
from pipelines.quarantine.records import QuarantineFilter
from tests.pipelines.quarantine.releases import accepted_ids, failed_checks, release_records
from tests.pipelines.small_home import TOPIC, log_records, rows, run_layers


def test_a_record_fixed_in_sql_is_accepted(settings: Settings, tmp_path: Path) -> None:
    fix = tmp_path / "fix.sql"
    fix.write_text("json_merge_patch(json, json_object('quantity', (json->>'quantity')::bigint)) -- a number\n")
    forecast = dry_run_release(
        settings, QuarantineFilter(TOPIC, ["type:quantity"]), load_fix(str(fix)), datetime.now(UTC)
    )
    assert (forecast.would_pass, forecast.again, forecast.left) == (1, 0, 0)
    before, after = (json.loads(value or b"") for value in (forecast.examples[0].before, forecast.examples[0].after))
    assert (before["quantity"], after["quantity"]) == ("6", 6)
    assert len(release_records(settings, str(fix), reasons=["type:quantity"]).copies) == 1
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e5"]
    assert release_records(settings, str(fix), reasons=["type:quantity"]).copies == []
    assert failed_checks(settings) == []


def test_a_record_fixed_in_python_is_accepted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert release_records(settings, "release_fixes:quantity_as_number", reasons=["type"]).copies == [((1, 5), (1, 7))]
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e5"]
    assert rows(settings, "ops.releases")["fix"][0].startswith("release_fixes:quantity_as_number#")


def test_a_fix_of_null_leaves_the_record_in_quarantine(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "fix.sql").write_text("case when json is not null then replace(value, '\"6\"', '6') end")
    done = release_records(settings, str(tmp_path / "fix.sql"), reasons=["type", "invalid_json"])
    assert ([record for record, _ in done.copies], done.left) == ([(1, 5)], 1)


def test_no_record_is_sent_if_the_fix_fails_for_one(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "fix.sql").write_text("value::json->>'event_id'")
    sent = len(log_records(settings.home))
    with pytest.raises(PermanentError, match="partition 1, offset 6: "):
        release_records(settings, str(tmp_path / "fix.sql"))
    assert len(log_records(settings.home)) == sent


def test_another_fix_is_applied_to_the_last_copy_only(settings: Settings, tmp_path: Path) -> None:
    fixes = [tmp_path / "worse.sql", tmp_path / "better.sql"]
    fixes[0].write_text("replace(value, '\"6\"', '-6')")
    fixes[1].write_text("replace(replace(value, '\"6\"', '6'), '-6', '6')")
    release_records(settings, str(fixes[0]), reasons=["type:quantity"])
    run_layers(settings.home)
    assert release_records(settings, str(fixes[1]), reasons=["range:quantity", "type:quantity"]).copies == [
        ((1, 7), (1, 8))
    ]
    assert release_records(settings, str(fixes[1]), places=[(1, 5)]).copies == []
    run_layers(settings.home)
    assert accepted_ids(settings) == ["e0", "e5"]
    assert release_records(settings, str(fixes[0]), reasons=["type:quantity"]).copies == []
    assert failed_checks(settings) == []


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
def test_an_invalid_fix_is_refused(source: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        source = str(tmp_path / source)
        Path(source).write_text(text)
    with pytest.raises(UsageError, match="--fix"):
        load_fix(source)


def test_a_fix_in_sql_keeps_all_digits_of_numbers_it_does_not_change() -> None:
    old = b'{"a":99999999999999.9999,"b":[{"c":0.10000000000000000001}],"d":1.5}'
    new = b'{"a":100000000000000.0,"b":[{"c":0.1}],"d":2.5,"e":"\xc3\xa9"}'
    assert (
        with_exact_numbers(old, new)
        == b'{"a":99999999999999.9999,"b":[{"c":0.10000000000000000001}],"d":2.5,"e":"\xc3\xa9"}'
    )
    assert with_exact_numbers(old, b'{"a": 1}') == b'{"a": 1}'
