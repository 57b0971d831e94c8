"""The adversary is a function of its seed and covers all cases, and the harness reports differences."""

import json
from collections import Counter
from typing import Any

import pytest

from .adversary import adversarial_log, adversarial_world
from .adversary_values import BROKEN, any_value
from .contract import Policy, check
from .contract_table import BUSINESS, TOPICS
from .harness import compare_silver, item_rows, silver_row
from .samples import record
from .silver import Record, judge, watermark

SEEDS = range(6)
TABLES = [f"silver.{topic.replace('-', '_')}" for topic in TOPICS]


def outcome(records: list[Record]) -> dict[str, list[dict[str, Any]]]:
    """Return what a correct pipeline passes to the harness."""
    silver = judge(records)
    made: dict[str, list[dict[str, Any]]] = {"verdicts": [], "silver.quarantine": [], "silver.pos_items": []}
    for one in silver.verdicts:
        at = {"topic": one.record.topic, "partition": one.record.partition, "offset": one.record.offset}
        made["verdicts"].append({**at, "outcome": one.outcome, "reasons": list(one.reasons), "arrival": one.arrival})
        if one.outcome == "quarantined":
            kept = {"value": one.record.value, "key": one.record.key, "timestamp": one.record.timestamp}
            made["silver.quarantine"].append({**at, **kept, "reasons": list(one.reasons)})
        if one.outcome == "accepted":
            note = one.extras.get("note")  # the only extra field of a valid world, always a string
            row = {**silver_row(one), "_extra": json.dumps({"note": note}) if note else None}
            made.setdefault(f"silver.{one.record.topic.replace('-', '_')}", []).append(row)
            made["silver.pos_items"] += item_rows(one) if "items" in one.row else []
    for table, rows in made.items():  # columns that evolved
        if table in TABLES and any(row["_extra"] for row in rows):
            made[table] = [{**row, "note": row["_extra"] and json.loads(row["_extra"])["note"]} for row in rows]
    made["ops.watermarks"] = [
        {"topic": topic, "partition": number, "high": state.high, "watermark": watermark(silver, topic)}
        for (topic, number), state in silver.partitions.items()
    ]
    return made


def test_the_log_is_a_function_of_the_seed() -> None:
    assert adversarial_log(1, "cinema-sales") == adversarial_log(1, "cinema-sales")
    assert adversarial_log(1, "cinema-sales") != adversarial_log(2, "cinema-sales")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_verdict_and_reason_occurs(topic: str) -> None:
    fates: Counter[str] = Counter()
    for seed in SEEDS:
        for one in judge(adversarial_log(seed, topic, size=250)).verdicts:
            fates.update([one.arrival or one.outcome, *(reason.split(":")[0] for reason in one.reasons), *one.warnings])
    wanted = {"on_time", "late", "duplicate", "quarantined", "future", "conflicting_duplicate"}
    wanted |= {"empty_value", "invalid_json", "duplicate_field", "missing", "type", "enum", "key_mismatch"}
    wanted |= {"too_late"} if topic in BUSINESS else set()
    assert wanted - set(fates) == set(), fates


def test_releases_are_accepted_and_rejected() -> None:
    silvers = [judge(adversarial_log(seed, "pos-transactions", size=300)) for seed in range(12)]
    claimed = sum(bool(one.record.headers) for silver in silvers for one in silver.verdicts)
    accepted = sum(len(silver.released) for silver in silvers)
    assert 0 < accepted < claimed


def test_event_times_are_within_a_microsecond_of_each_boundary() -> None:
    near: set[int] = set()
    for seed in SEEDS:
        for one in judge(adversarial_log(seed, "pos-transactions")).accepted():
            behind = round(one.lateness_seconds * 10**6)
            near |= {behind - limit for limit in (600 * 10**6, 48 * 3600 * 10**6) if abs(behind - limit) <= 1}
    assert near == {-1, 0, 1}


def test_values_pass_and_fail_every_stage() -> None:
    stages: Counter[str] = Counter()
    for seed in range(1500):
        topic, value = any_value(seed)
        stages.update({reason.split(":")[0] for reason in check(topic, value, Policy()).reasons} or {"fine"})
    parse = {"empty_value", "invalid_json", "not_an_object", "duplicate_field"}
    assert parse | {"fine", "missing", "type", "range", "enum", "rule"} == set(stages)
    assert stages["fine"] > 150


def test_no_invalid_value_satisfies_a_contract() -> None:
    assert [value for value in BROKEN if not check("customer-reviews", value, Policy()).reasons] == []


def test_a_valid_world_has_no_invalid_record_and_accepts_no_event_id_twice() -> None:
    for seed in range(3):
        silver = judge(adversarial_world(seed))
        reasons = {reason for one in silver.verdicts for reason in one.reasons}
        assert reasons <= {"too_late", "future", "conflicting_duplicate"}
        ids = [(one.record.topic, one.event_id) for one in silver.accepted()]
        assert len(ids) == len(set(ids)) > 300


def test_the_harness_accepts_a_correct_outcome() -> None:
    records = adversarial_world(5, size=40)
    assert compare_silver(records, None, outcome(records)) == []


def test_the_harness_reports_each_difference() -> None:
    records = [record("customer-reviews", 0), record("customer-reviews", 1, rating=9)]
    made = outcome(records)
    made["verdicts"][1]["reasons"] = ["range:stars"]
    made["silver.customer_reviews"][0]["rating"] = True
    made["silver.customer_reviews"].append({"_partition": 0, "_offset": 7})
    made["silver.quarantine"].clear()
    made["ops.watermarks"][0]["high"] = None
    found = compare_silver(records, None, made)
    assert len(found) == 5
    for words in (
        "range:rating",
        "rating: 5 expected, found True",
        "no accepted event",
        "quarantine holds None",
        "high",
    ):
        assert sum(words in one for one in found) >= 1, words
