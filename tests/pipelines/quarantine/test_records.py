import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.bronze.record_ref import parse_record_ref
from pipelines.config.settings import load_settings
from pipelines.errors import UsageError
from pipelines.lake.catalog import Lake
from pipelines.quarantine.records import QuarantineFilter, count_by_rule, full_records, parse_moment
from tests.pipelines.small_home import DAY, TOPIC, movement, run_layers, send


@pytest.fixture
def lake(tmp_path: Path, without_settings: None) -> Iterator[Lake]:
    """Two records break one rule, one breaks two, one is not UTF-8; two topics and two days."""
    send(tmp_path, [movement(0), movement(1, warehouse_id=...), movement(2, warehouse_id=..., quantity="3")])
    send(tmp_path, [movement(3, warehouse_id=...)], partition=2, at=DAY + timedelta(days=1), headers=[("a", b"\xff")])
    send(tmp_path, [b"\xff"], topic="cinema-sales", partition=0)
    run_layers(tmp_path)
    with closing(Lake.open(load_settings(home=tmp_path))) as opened:
        yield opened


def refs(lake: Lake, wanted: QuarantineFilter) -> list[tuple[str, int, int]]:
    return [(record.topic, record.partition, record.offset) for record in full_records(lake, wanted)[0]]


def test_records_are_counted_by_topic_and_rule_with_the_first_as_sample(lake: Lake) -> None:
    found = [
        (rule.topic, rule.rule, rule.records, rule.sample["event_id"])
        for rule in count_by_rule(lake, QuarantineFilter())
    ]
    assert found == [
        ("cinema-sales", "invalid_json", 1, None),
        (TOPIC, "missing:warehouse_id", 3, "e1"),
        (TOPIC, "type:quantity", 1, "e2"),
    ]
    missing = count_by_rule(lake, QuarantineFilter(TOPIC, ["missing:warehouse_id"]))[0]
    assert (missing.first_at, missing.last_at) == (DAY + timedelta(minutes=1), DAY + timedelta(days=1))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (QuarantineFilter(), [("cinema-sales", 0, 0), (TOPIC, 1, 1), (TOPIC, 1, 2), (TOPIC, 2, 0)]),
        (QuarantineFilter(TOPIC), [(TOPIC, 1, 1), (TOPIC, 1, 2), (TOPIC, 2, 0)]),
        (QuarantineFilter(reasons=["type:quantity", "invalid_json"]), [("cinema-sales", 0, 0), (TOPIC, 1, 2)]),
        (QuarantineFilter(reasons=["missing"]), [(TOPIC, 1, 1), (TOPIC, 1, 2), (TOPIC, 2, 0)]),
        (QuarantineFilter(reasons=["miss"]), []),
        (QuarantineFilter(places=[(1, 2), (0, 0), (1, 99)]), [("cinema-sales", 0, 0), (TOPIC, 1, 2)]),
        (QuarantineFilter(since=DAY + timedelta(minutes=2)), [(TOPIC, 1, 2), (TOPIC, 2, 0)]),
        (QuarantineFilter(TOPIC, until=DAY + timedelta(minutes=2)), [(TOPIC, 1, 1)]),
    ],
)
def test_records_are_selected_by_topic_rule_time_and_ref(
    wanted: QuarantineFilter, found: list[tuple[str, int, int]], lake: Lake
) -> None:
    assert refs(lake, wanted) == found


def test_a_record_is_returned_in_full_and_bytes_as_base64(lake: Lake) -> None:
    records, count = full_records(lake, QuarantineFilter(places=[(0, 0), (2, 0)]))
    assert count == 2
    binary, other = (record.to_dict() for record in records)
    assert binary["value"] == {"base64": "/w=="}
    assert json.loads(other["value"]) == movement(3, warehouse_id=...)
    assert other["headers"] == [{"key": "a", "value": {"base64": "/w=="}}]
    assert (other["key"], other["reasons"], other["event_id"]) == ("P1", ["missing:warehouse_id"], "e3")


def test_a_limit_does_not_change_the_count(lake: Lake) -> None:
    records, count = full_records(lake, QuarantineFilter(), 2)
    assert (len(records), count) == (2, 4)


def test_refs_and_times_of_options_are_parsed() -> None:
    assert parse_record_ref("-1/5") == (-1, 5)
    assert parse_moment("--since", "2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert parse_moment("--since", "2026-01-31T02:00+02:00") == datetime(2026, 1, 31, tzinfo=UTC)
    for wrong in ("5", "a/b", "-2/5", "1/-5", "1/2/3"):
        with pytest.raises(UsageError, match="--offset"):
            parse_record_ref(wrong)
    with pytest.raises(UsageError, match="--until yesterday"):
        parse_moment("--until", "yesterday")
