import json
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from pipelines.contracts.registry import BUSINESS_TOPICS, TOPICS
from producers.data_faults import DataFaults, FaultKind
from producers.world import Batch, World
from tests.reference.contract import Policy, check

FAULTS = DataFaults(
    out_of_order=0.05, late=0.04, too_late=0.02, duplicated=0.03, conflicting=0.02, broken=0.03, contract=0.05,
    future=0.02, new_fields=0.02,
)  # fmt: skip
SHARES = {
    FaultKind.OUT_OF_ORDER: 0.05,
    FaultKind.LATE: 0.04,
    FaultKind.DUPLICATE: 0.03,
    FaultKind.CONFLICTING: 0.02,
    FaultKind.BROKEN: 0.03,
    FaultKind.CONTRACT: 0.05,
    FaultKind.FUTURE: 0.02,
    FaultKind.NEW_FIELD: 0.02,
}


@pytest.fixture(scope="module")
def faulty() -> list[Batch]:
    return list(World(9, date(2026, 10, 1), 12, 8_000, FAULTS).batches())


def _rows(batches: list[Batch], *kinds: FaultKind) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    found = []
    for batch in batches:
        for record, facts in zip(batch.records.to_pylist(), batch.facts.to_dicts(), strict=True):
            if facts["kind"] in kinds:
                found.append((batch.topic, record, facts))
    return found


def test_every_fault_has_its_share_in_every_topic(faulty: list[Batch]) -> None:
    kinds: dict[str, Counter[int]] = {topic: Counter() for topic in TOPICS}
    for batch in faulty:
        kinds[batch.topic].update(batch.facts["kind"].to_list())
    for topic in ("pos-transactions", "cinema-sales", "inventory-updates"):
        events = kinds[topic].total() - kinds[topic][FaultKind.DUPLICATE] - kinds[topic][FaultKind.CONFLICTING]
        for kind, share in SHARES.items():
            # the initial stock has no faults, and no event is late in the last minutes
            assert 0.75 * share * events < kinds[topic][kind] <= 1.02 * share * events + 1, (topic, kind)
        assert kinds[topic][FaultKind.TOO_LATE] > 0.013 * events
    for topic in set(TOPICS) - set(BUSINESS_TOPICS):
        assert kinds[topic][FaultKind.TOO_LATE] == 0
        assert all(kinds[topic][kind] for kind in SHARES), topic


def test_the_default_faults_include_every_kind(batches: list[Batch]) -> None:
    kinds = Counter(kind for batch in batches for kind in batch.facts["kind"].to_list())
    assert set(kinds) == set(FaultKind)


def test_delays_keep_a_distance_from_the_lateness_limits(faulty: list[Batch]) -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    bounds = {
        FaultKind.NONE: (timedelta(0), timedelta(seconds=1)),
        FaultKind.OUT_OF_ORDER: (30 * timedelta(seconds=1), 10 * minute),
        FaultKind.LATE: (15 * minute, 40 * hour),
        FaultKind.TOO_LATE: (62 * hour, 97 * hour),
        FaultKind.FUTURE: (-73 * hour, -5 * minute - timedelta(seconds=30)),
    }
    for kind, (least, most) in bounds.items():
        rows = _rows(faulty, kind)
        assert rows
        for _, _, facts in rows:
            delay = timedelta(milliseconds=facts["arrival"] - facts["event_time"])
            assert least <= delay <= most, (kind, delay)


def test_a_corrupt_record_breaks_exactly_the_rule_it_states(faulty: list[Batch]) -> None:
    rules = Counter[str]()
    for topic, record, facts in _rows(faulty, FaultKind.BROKEN, FaultKind.CONTRACT):
        checked = check(topic, record["value"], Policy())
        assert sorted(checked.reasons) == [facts["reason"]], record["value"]
        rules[facts["reason"].split(":")[0]] += 1
    assert set(rules) == {
        "invalid_json", "empty_value", "not_an_object", "duplicate_field", "missing", "type", "range", "enum", "rule",
    }  # fmt: skip


def test_a_copy_arrives_after_its_original_with_the_same_key(faulty: list[Batch]) -> None:
    first: dict[tuple[str, str], tuple[bytes, bytes, object]] = {}
    copies = Counter[FaultKind]()
    for topic, record, facts in _rows(
        faulty, *(kind for kind in FaultKind if kind not in (FaultKind.BROKEN, FaultKind.CONTRACT))
    ):
        event = json.loads(record["value"])
        name = topic, event["event_id"]
        if facts["kind"] in (FaultKind.DUPLICATE, FaultKind.CONFLICTING):
            value, key, arrival = first[name]
            assert record["key"] == key and record["timestamp"] >= arrival
            assert (record["value"] == value) == (facts["kind"] == FaultKind.DUPLICATE)
            if facts["kind"] == FaultKind.CONFLICTING:
                assert not check(topic, record["value"], Policy()).reasons
            copies[facts["kind"]] += 1
        else:
            assert name not in first
            first[name] = record["value"], record["key"], record["timestamp"]
    assert copies[FaultKind.DUPLICATE] > 100 and copies[FaultKind.CONFLICTING] > 100


def test_a_new_field_is_schema_drift_and_breaks_no_rule(faulty: list[Batch]) -> None:
    rows = _rows(faulty, FaultKind.NEW_FIELD)
    assert {topic for topic, _, _ in rows} == set(TOPICS)
    for topic, record, _ in rows:
        checked = check(topic, record["value"], Policy())
        assert not checked.reasons and len(checked.extras) == 1


def test_shares_below_0_or_above_1_in_total_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        DataFaults(late=-0.1)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        DataFaults(late=0.9, broken=0.2)
