import json
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from pipelines.contracts.registry import BUSINESS_TOPICS, CONTRACTS, TOPICS
from producers import corruption as vandal
from producers.data_faults import DataFaults, Kind
from producers.world import Batch, World
from tests.reference.contract import Policy, check

DIRT = DataFaults(
    out_of_order=0.05, late=0.04, too_late=0.02, duplicated=0.03, conflicting=0.02, broken=0.03, contract=0.05,
    future=0.02, new_fields=0.02,
)  # fmt: skip
SHARES = {
    Kind.OUT_OF_ORDER: 0.05, Kind.LATE: 0.04, Kind.DUPLICATE: 0.03, Kind.CONFLICTING: 0.02, Kind.BROKEN: 0.03,
    Kind.CONTRACT: 0.05, Kind.FUTURE: 0.02, Kind.NEW_FIELD: 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def dirty() -> list[Batch]:
    return list(World(9, date(2026, 10, 1), 12, 8_000, DIRT).batches())


def _rows(batches: list[Batch], *kinds: Kind) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    found = []
    for batch in batches:
        for record, facts in zip(batch.records.to_pylist(), batch.facts.to_dicts(), strict=True):
            if facts["kind"] in kinds:
                found.append((batch.topic, record, facts))
    return found


def test_every_share_is_there_in_every_topic(dirty: list[Batch]) -> None:
    kinds: dict[str, Counter[int]] = {topic: Counter() for topic in TOPICS}
    for batch in dirty:
        kinds[batch.topic].update(batch.facts["kind"].to_list())
    for topic in ("pos-transactions", "cinema-sales", "inventory-updates"):
        events = kinds[topic].total() - kinds[topic][Kind.DUPLICATE] - kinds[topic][Kind.CONFLICTING]
        for kind, share in SHARES.items():
            # the opening stock is clean, and nothing is late in the last minutes
            assert 0.75 * share * events < kinds[topic][kind] <= 1.02 * share * events + 1, (topic, kind)
        assert kinds[topic][Kind.TOO_LATE] > 0.013 * events
    for topic in set(TOPICS) - set(BUSINESS_TOPICS):
        assert kinds[topic][Kind.TOO_LATE] == 0
        assert all(kinds[topic][kind] for kind in SHARES), topic


def test_the_usual_dirt_is_all_there(batches: list[Batch]) -> None:
    kinds = Counter(kind for batch in batches for kind in batch.facts["kind"].to_list())
    assert set(kinds) == set(Kind)


def test_delays_keep_clear_of_the_edges(dirty: list[Batch]) -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    bounds = {
        Kind.PLAIN: (timedelta(0), timedelta(seconds=1)),
        Kind.OUT_OF_ORDER: (30 * timedelta(seconds=1), 10 * minute),
        Kind.LATE: (15 * minute, 40 * hour),
        Kind.TOO_LATE: (62 * hour, 97 * hour),
        Kind.FUTURE: (-73 * hour, -5 * minute - timedelta(seconds=30)),
    }
    for kind, (least, most) in bounds.items():
        rows = _rows(dirty, kind)
        assert rows
        for _, _, facts in rows:
            delay = timedelta(milliseconds=facts["arrival"] - facts["event_time"])
            assert least <= delay <= most, (kind, delay)


def test_broken_records_break_the_rule_they_name_and_no_other(dirty: list[Batch]) -> None:
    rules = Counter[str]()
    for topic, record, facts in _rows(dirty, Kind.BROKEN, Kind.CONTRACT):
        checked = check(topic, record["value"], Policy())
        assert sorted(checked.reasons) == [facts["reason"]], record["value"]
        rules[facts["reason"].split(":")[0]] += 1
    assert set(rules) == {
        "invalid_json", "empty_value", "not_an_object", "duplicate_field", "missing", "type", "range", "enum", "rule",
    }  # fmt: skip


@pytest.mark.parametrize("topic", TOPICS)
def test_every_breach_of_every_contract_breaks_exactly_its_rule(topic: str, batches: list[Batch]) -> None:
    seen: dict[str, bytes] = {}
    for batch in batches:
        if batch.topic == topic:
            for value, kind in zip(batch.records["value"].to_pylist(), batch.facts["kind"], strict=True):
                if kind == Kind.PLAIN:
                    seen.setdefault(json.loads(value)["event_type"], value)
    assert set(seen) >= set(CONTRACTS[topic].event_types) - {"delete", "transfer_in"}
    for value in seen.values():
        count = len(vandal.breaches(CONTRACTS[topic], json.loads(value)))
        assert count > 5
        for number in range(count):
            spoiled = vandal.breach(CONTRACTS[topic], value, (number + 0.5) / count)
            assert spoiled.value is not None
            assert check(topic, spoiled.value, Policy()).reasons == {spoiled.reason}, spoiled


def test_every_way_to_break_json_breaks_exactly_its_rule() -> None:
    for number in range(17):
        spoiled = vandal.break_json(b'{"event_id":"x","event_type":"sale","note":"a"}', (number + 0.5) / 17)
        assert check("pos-transactions", spoiled.value, Policy()).reasons == {spoiled.reason}


def test_copies_follow_their_original_with_the_same_key(dirty: list[Batch]) -> None:
    first: dict[tuple[str, str], tuple[bytes, bytes, object]] = {}
    copies = Counter[Kind]()
    for topic, record, facts in _rows(dirty, *(kind for kind in Kind if kind not in (Kind.BROKEN, Kind.CONTRACT))):
        event = json.loads(record["value"])
        name = topic, event["event_id"]
        if facts["kind"] in (Kind.DUPLICATE, Kind.CONFLICTING):
            value, key, arrival = first[name]
            assert record["key"] == key and record["timestamp"] >= arrival
            assert (record["value"] == value) == (facts["kind"] == Kind.DUPLICATE)
            if facts["kind"] == Kind.CONFLICTING:
                assert not check(topic, record["value"], Policy()).reasons
            copies[facts["kind"]] += 1
        else:
            assert name not in first
            first[name] = record["value"], record["key"], record["timestamp"]
    assert copies[Kind.DUPLICATE] > 100 and copies[Kind.CONFLICTING] > 100


def test_new_fields_are_drift_and_nothing_else(dirty: list[Batch]) -> None:
    rows = _rows(dirty, Kind.NEW_FIELD)
    assert {topic for topic, _, _ in rows} == set(TOPICS)
    for topic, record, _ in rows:
        checked = check(topic, record["value"], Policy())
        assert not checked.reasons and len(checked.extras) == 1


def test_a_share_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        DataFaults(late=-0.1)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        DataFaults(late=0.9, broken=0.2)
