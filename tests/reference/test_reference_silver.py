"""Verdicts and watermarks of the reference: tiny logs, one claim each."""

from datetime import timedelta
from typing import Any

import pytest

from .contract import Policy
from .contract_table import TOPICS
from .samples import Raw, at, encode, event, iso, record, write
from .silver import FrozenError, Record, Silver, idle_partitions, judge, watermark

POS, CINEMA, STOCK, REVIEW, CUSTOMER, PRODUCT, TITLE = TOPICS
MICRO = 0.000001
HOURS_48 = 48 * 3600


def fates(records: list[Record], policy: Policy | None = None) -> list[str]:
    """Return `on_time`, `late`, `duplicate` or the reasons of each record."""
    return [one.arrival or ",".join(one.reasons) or one.outcome for one in judge(records, policy).verdicts]


def raw(text: str, offset: int, partition: int = 0, batch_id: int = 1, seconds: float = 0) -> Record:
    return Record(REVIEW, batch_id, partition, offset, at(seconds), value=text.encode())


# --- lateness -------------------------------------------------------------------------------------------------------


def test_r15_the_first_event_of_a_partition_is_on_time_at_any_age() -> None:
    assert fates([record(POS, 0, -30 * 86400, recorded=0)]) == ["on_time"]


@pytest.mark.parametrize(
    ("behind", "fate"),
    [
        (0, "on_time"),
        (600, "on_time"),
        (600 + MICRO, "late"),
        (HOURS_48, "late"),
        (HOURS_48 + MICRO, "too_late"),
    ],
)
def test_r15_boundaries_are_inclusive_to_the_microsecond(behind: float, fate: str) -> None:
    assert fates([record(POS, 0, 0), record(POS, 1, -behind, recorded=0)]) == ["on_time", fate]


@pytest.mark.parametrize("topic", [CUSTOMER, PRODUCT, TITLE])
def test_r15_master_data_is_never_too_late(topic: str) -> None:
    old = record(topic, 1, -365 * 86400, recorded=0)
    assert fates([record(topic, 0, 0), old]) == ["on_time", "late"]


@pytest.mark.parametrize(("ahead", "fate"), [(300, "on_time"), (300 + MICRO, "future")])
def test_r15_future_begins_one_microsecond_after_the_tolerance(ahead: float, fate: str) -> None:
    assert fates([record(POS, 0, ahead, recorded=0)]) == [fate]
    assert fates([record(CUSTOMER, 0, ahead, recorded=0)]) == [fate]


def test_r15_without_a_record_timestamp_nothing_is_future() -> None:
    assert fates([record(POS, 0, 10**8, recorded=None)]) == ["on_time"]


def test_r14_a_future_event_does_not_move_high() -> None:
    assert (
        fates([record(POS, 0, 0), record(POS, 1, 7200, recorded=0), record(POS, 2, -600, recorded=0)])[2] == "on_time"
    )


def test_r14_an_invalid_record_does_not_move_high() -> None:
    log = [record(POS, 0, 0), record(POS, 1, 7200, currency="JPY"), record(POS, 2, -600, recorded=7200)]
    assert fates(log) == ["on_time", "enum:currency", "on_time"]


def test_r14_quarantined_drift_does_not_move_high() -> None:
    log = [record(POS, 0, 7200, extra=1), record(POS, 1, 0, recorded=7200)]
    assert fates(log, Policy(drift="quarantine")) == ["schema_drift", "on_time"]
    assert fates(log) == ["on_time", "late"]


def test_r14_conflicts_and_duplicates_move_high() -> None:
    log = [
        record(POS, 0, 0, event_id="E", partition=0),
        record(POS, 0, 7200, event_id="E", partition=1),
        record(POS, 1, 0, partition=1, recorded=7200),
    ]
    assert fates(log) == ["on_time", "conflicting_duplicate", "late"]


def test_r14_partitions_are_independent() -> None:
    assert fates([record(POS, 0, 10**6), record(POS, 0, 0, partition=1)]) == ["on_time", "on_time"]


def test_r15_lateness_is_measured_from_high_and_is_0_without_it() -> None:
    log = [record(POS, 0, 0), record(POS, 1, -0.25, recorded=0), record(POS, 2, 5), record(POS, 3, -700, recorded=5)]
    assert [one.lateness_seconds for one in judge(log).verdicts] == [0.0, 0.25, 0.0, 705.0]


def test_r18_each_record_follows_the_policy_of_its_batch() -> None:
    log = [record(POS, 0, 0), record(POS, 1, -60, recorded=0), record(POS, 2, -60, recorded=0, batch_id=2)]
    strict = Policy(out_of_orderness=timedelta(0))
    verdicts = judge(log, lambda one: strict if one.batch_id == 2 else Policy()).verdicts
    assert [one.arrival for one in verdicts] == ["on_time", "on_time", "late"]


# --- order of the stages --------------------------------------------------------------------------------------------


def test_r1_a_copy_beyond_the_horizon_is_too_late_not_a_duplicate() -> None:
    log = [record(POS, 0, 0, event_id="E"), record(POS, 1, HOURS_48 + 1), record(POS, 2, 0, event_id="E")]
    assert fates(log) == ["on_time", "on_time", "too_late"]


def test_r1_a_late_copy_inside_the_horizon_is_a_duplicate() -> None:
    log = [record(POS, 0, 0, event_id="E"), record(POS, 1, HOURS_48), record(POS, 2, 0, event_id="E")]
    assert fates(log) == ["on_time", "on_time", "duplicate"]


def test_r1_the_contract_comes_before_drift_and_drift_before_future() -> None:
    log = [record(POS, 0, 7200, recorded=0, x=1, currency="JPY"), record(POS, 1, 7200, recorded=0, x=1)]
    assert fates(log, Policy(drift="quarantine")) == ["enum:currency", "schema_drift"]


def test_r29_freeze_stops_at_the_first_unknown_member() -> None:
    with pytest.raises(FrozenError) as caught:
        judge([record(POS, 0, currency="JPY", a=1), record(POS, 1, b=2)], Policy(drift="freeze"))
    assert (caught.value.place, caught.value.field) == ((POS, 0, 1), "b")


def test_r11_extra_fields_of_a_delete_are_not_drift() -> None:
    gone = record(CUSTOMER, 0, event_type="delete", x=1)
    assert fates([gone], Policy(drift="quarantine")) == ["on_time"]


# --- duplicates -----------------------------------------------------------------------------------------------------


def test_r19_only_accepted_events_own_an_id() -> None:
    log = [record(POS, 0, 0, event_id="E", currency="JPY"), record(POS, 1, 1, event_id="E")]
    assert fates(log) == ["enum:currency", "on_time"]


def test_r19_ids_are_compared_exactly_and_within_a_topic() -> None:
    log = [record(POS, 0, event_id="E"), record(POS, 1, event_id="e"), record(POS, 2, event_id="E "), record(CINEMA, 0)]
    assert fates(log) == ["on_time"] * 4


def test_r20_the_first_copy_in_bronze_order_wins_across_partitions() -> None:
    early, late = record(POS, 9, 0, event_id="E"), record(POS, 0, 1, event_id="E", partition=1)
    assert fates([early, late]) == ["on_time", "conflicting_duplicate"]
    later_batch = record(POS, 9, 0, event_id="E", batch_id=2)
    assert fates([late, later_batch]) == ["on_time", "conflicting_duplicate"]


def test_r21_the_horizon_is_that_of_the_partition_of_the_copy() -> None:
    winner = record(POS, 0, 0, event_id="E")
    ahead = record(POS, 0, HOURS_48 + 60, partition=1)
    copy = record(POS, 1, HOURS_48 + 60, event_id="E", partition=1)
    assert fates([winner, ahead, copy]) == ["on_time"] * 3, "the winner is beyond the copy's horizon"


def test_r21_without_high_the_event_time_of_the_copy_gives_the_horizon() -> None:
    winner = record(POS, 0, 0, event_id="E")
    inside = record(POS, 0, HOURS_48, event_id="E", partition=1)
    beyond = record(POS, 0, HOURS_48 + MICRO, event_id="E", partition=1)
    assert fates([winner, inside]) == ["on_time", "conflicting_duplicate"]
    assert fates([winner, beyond]) == ["on_time", "on_time"]


def test_r21_a_copy_without_high_is_compared_with_a_winner_of_its_age() -> None:
    winner, newer = record(POS, 0, 0, event_id="E"), record(POS, 1, 10**6)
    copy = record(POS, 0, 0, event_id="E", partition=1, recorded=10**6)
    assert fates([winner, newer, copy]) == ["on_time", "on_time", "duplicate"]


def test_r21_master_data_is_compared_with_all_history() -> None:
    log = [record(CUSTOMER, 0, 0, event_id="E"), record(CUSTOMER, 1, 10**8), record(CUSTOMER, 2, 10**8, event_id="E")]
    assert fates(log)[2] == "conflicting_duplicate"


SAME = {
    "R22 members in another order": ('"a":1,"b":2', '"b":2,"a":1'),
    "R22 1 = 1.0": ('"a":1', '"a":1.0'),
    "R22 100 = 1e2": ('"a":100', '"a":1e2'),
    "R22 0 = -0.0e7": ('"a":0', '"a":-0.0e7'),
    "R22 an escaped letter": ('"a":"x"', r'"a":"\u0078"'),
    "R22 an escaped name": ('"a":1', r'"\u0061":1'),
    "R22 a null member is an absent one": ('"a":null', '"a2":null'),
    "R22 a null member of a nested object, too": ('"a":{"b":null}', '"a":{}'),
    "R22 members of an object in a list": ('"a":[{"b":1,"c":null}]', '"a":[{"b":1.00}]'),
}
OTHER = {
    "R22 null elements of a list count": ('"a":[null]', '"a":[]'),
    "R22 the order of a list counts": ('"a":[1,2]', '"a":[2,1]'),
    "R22 extra members count": ('"a":1', '"a":2'),
    "R22 a number is no string": ('"a":1', '"a":"1"'),
    "R22 true is not 1": ('"a":true', '"a":1'),
    "R22 the last digit counts": ('"a":0.1', '"a":0.10000000000000000000001'),
    "R22 composed and decomposed letters differ": ('"a":"\u00e9"', '"a":"e\u0301"'),
    "R22 an empty object is not null": ('"a":{}', '"a":null'),
    "R22 false is not absent": ('"a":false', '"b":null'),
}


def _pair(first: str, second: str) -> list[Record]:
    base = encode(event(REVIEW)).decode()[:-1]
    return [raw(f"{base},{first}}}", 0), raw(f"{base} ,\r\n{second} }}\t", 1)]


@pytest.mark.parametrize("claim", SAME)
def test_copies_with_equal_json_are_duplicates(claim: str) -> None:
    assert fates(_pair(*SAME[claim])) == ["on_time", "duplicate"]


@pytest.mark.parametrize("claim", OTHER)
def test_copies_with_other_json_conflict(claim: str) -> None:
    assert fates(_pair(*OTHER[claim])) == ["on_time", "conflicting_duplicate"]


def test_r22_the_same_instant_or_amount_in_other_text_conflicts() -> None:
    log = [
        record(PRODUCT, 0, event_id="E", unit_cost=1),
        record(PRODUCT, 1, event_id="E", unit_cost="1"),
        record(PRODUCT, 2, event_id="E", unit_cost=1, event_time="2026-03-02T13:00:00+01:00"),
    ]
    assert fates(log) == ["on_time", "conflicting_duplicate", "conflicting_duplicate"]


def test_r22_key_headers_and_timestamp_are_not_compared() -> None:
    log = [
        record(POS, 0, event_id="E", key=b"T1"),
        record(POS, 1, event_id="E", key=b"other", recorded=50, headers=(("h", b"1"),)),
    ]
    assert fates(log) == ["on_time", "duplicate"]


def test_r22_copies_are_compared_with_the_winner_only() -> None:
    log = [record(POS, i, event_id="E", store_id=store) for i, store in enumerate(["a", "b", "b", "a"])]
    assert fates(log) == ["on_time", "conflicting_duplicate", "conflicting_duplicate", "duplicate"]


def test_r22_ignored_fields_of_a_delete_are_compared() -> None:
    log = [record(CUSTOMER, i, event_id="E", event_type="delete", name=name) for i, name in enumerate([1, 1, 2])]
    assert fates(log) == ["on_time", "duplicate", "conflicting_duplicate"]


# --- warnings and counts --------------------------------------------------------------------------------------------


def test_r10_a_different_key_is_a_warning_and_a_missing_one_is_not() -> None:
    log = [record(POS, 0, key=b"T1"), record(POS, 1, key=b"t1"), record(POS, 2), record(POS, 3, key=b"")]
    assert [one.warnings for one in judge(log).verdicts] == [(), ("key_mismatch",), (), ("key_mismatch",)]


def test_r10_rules_are_counted_by_batch_topic_and_action() -> None:
    log = [
        record(POS, 0, key=b"x"),
        record(POS, 1, currency="JPY", channel="x"),
        record(POS, 2, currency="JPY", batch_id=2),
        record(POS, 3, event_id="E0-0", event_time=iso(at(0)), batch_id=2, key=b"y"),
    ]
    assert dict(judge(log).rule_counts()) == {
        (1, POS, "key_mismatch", "warn"): 1,
        (1, POS, "enum:currency", "quarantine"): 1,
        (1, POS, "enum:channel", "quarantine"): 1,
        (2, POS, "enum:currency", "quarantine"): 1,
    }, "the duplicate of the last line is not kept and warns of nothing"


# --- releases -------------------------------------------------------------------------------------------------------


def release(offset: int, seconds: float, place: str, **more: Any) -> Record:
    header = (("animeverse-release", place.encode()),)
    return record(POS, offset, seconds, recorded=HOURS_48 * 2, headers=header, **more)


def too_late_log() -> list[Record]:
    """Return a log whose offset 1 is too late."""
    return [record(POS, 0, HOURS_48), record(POS, 1, -60, event_id="old", recorded=HOURS_48)]


def test_r27_a_release_is_accepted_late_and_never_moves_high() -> None:
    silver = judge([*too_late_log(), release(2, -60, f"{POS}/0/1", event_id="old")])
    last = silver.verdicts[-1]
    assert (last.arrival, last.lateness_seconds, last.record.timestamp) == ("late", HOURS_48 + 60, at(HOURS_48 * 2))
    ahead = judge([*too_late_log(), release(2, HOURS_48 + 900, f"{POS}/0/1", event_id="fixed")])
    assert ahead.partitions[POS, 0].high == at(HOURS_48)
    assert (ahead.verdicts[-1].arrival, ahead.verdicts[-1].lateness_seconds) == ("late", 0.0)


def test_r27_repeating_a_release_adds_nothing() -> None:
    again = [release(2 + i, -60, f"{POS}/0/1", event_id="old") for i in range(3)]
    assert fates([*too_late_log(), *again])[2:] == ["late", "duplicate", "duplicate"]
    changed = release(9, -60, f"{POS}/0/1", event_id="old", store_id="x")
    assert fates([*too_late_log(), again[0], changed])[2:] == ["late", "conflicting_duplicate"]
    renamed = release(9, -60, f"{POS}/0/1", event_id="another")
    assert fates([*too_late_log(), again[0], renamed])[2:] == ["late", "duplicate"]


@pytest.mark.parametrize("place", ["0/1", f"{POS}/0/0", f"{POS}/0/01", f"{CINEMA}/0/1", f"{POS}/0/2", f"{POS}/0/1/"])
def test_r27_a_header_that_names_no_quarantined_record_of_its_topic_is_ignored(place: str) -> None:
    assert fates([*too_late_log(), release(2, -60, place, event_id="old")])[2] == "too_late"


def test_r27_contract_and_future_apply_to_a_release() -> None:
    log = [record(POS, 0, currency="JPY"), release(1, 0, f"{POS}/0/0", currency="JPY")]
    assert fates(log) == ["enum:currency", "enum:currency"]
    ahead = release(1, HOURS_48 * 2 + 301, f"{POS}/0/0")
    assert fates([log[0], ahead]) == ["enum:currency", "future"]


def test_r27_a_quarantined_release_can_be_released() -> None:
    log = [*too_late_log(), release(2, -60, f"{POS}/0/1", event_id="old", currency="JPY")]
    assert fates([*log, release(3, -60, f"{POS}/0/2", event_id="old")])[2:] == ["enum:currency", "late"]


# --- watermark ------------------------------------------------------------------------------------------------------


def mark(log: list[Record]) -> float | None:
    """Return the topic's watermark plus out_of_orderness, in seconds after START."""
    found = watermark(judge(log), log[0].topic)
    return None if found is None else (found - at(-600)).total_seconds()


def test_r16_without_a_valid_record_there_is_no_watermark() -> None:
    assert mark([record(POS, 0, currency="JPY")]) is None


def test_r16_the_slowest_partition_gives_the_watermark() -> None:
    assert mark([record(POS, 0, 50, recorded=50), record(POS, 0, 20, partition=1, recorded=50)]) == 20


@pytest.mark.parametrize(("after", "expected"), [(300, 20), (300 + MICRO, 320)])
def test_r16_a_partition_is_idle_one_microsecond_after_the_timeout(after: float, expected: float) -> None:
    log = [record(POS, 0, 320, recorded=20 + after), record(POS, 0, 20, partition=1, recorded=20)]
    assert mark(log) == expected


def test_r16_invalid_records_keep_a_partition_active() -> None:
    log = [
        record(POS, 0, 900, recorded=900),
        record(POS, 0, 20, partition=1),
        record(POS, 1, 20, partition=1, value=b"", recorded=900),
    ]
    assert mark(log) == 20


def test_r16_a_partition_of_invalid_records_does_not_count_and_neither_do_its_timestamps() -> None:
    log = [record(POS, 0, 20), record(POS, 0, 20, value=b"", partition=1, recorded=1000)]
    assert mark(log) == 20


def test_r16_a_partition_that_resumes_with_old_events_moves_the_watermark_back() -> None:
    log = [record(POS, 0, 20, partition=1), record(POS, 0, 9000, partition=2)]
    assert mark(log) == 9000
    assert mark([*log, record(POS, 1, 21, partition=1, recorded=9000, batch_id=2)]) == 21


def test_r16_record_timestamps_may_decrease() -> None:
    log = [record(POS, 0, 20, recorded=1000), record(POS, 1, 30, recorded=30), record(POS, 0, 900, partition=1)]
    assert mark(log) == 30, "the greatest record timestamp counts, not the last"


def test_r16_without_any_record_timestamp_no_partition_is_idle() -> None:
    log = [record(POS, 0, 9000, recorded=None), record(POS, 0, 0, partition=1, recorded=None)]
    assert (mark(log), idle_partitions(judge(log), POS, Policy())) == (0, set())


def test_r16_the_state_does_not_depend_on_batches() -> None:
    def cut(size: int) -> Silver:
        return judge([record(POS, i, (i * 7919) % 4000, recorded=4000 + i, batch_id=1 + i // size) for i in range(60)])

    assert cut(1).partitions == cut(7).partitions == cut(60).partitions


def test_white_space_and_member_order_change_no_verdict() -> None:
    made = event(POS, helper=Raw("1"))
    spaced = write(dict(reversed(made.items())), gap=" \n").encode()
    log = [Record(POS, 1, 0, i, at(0), None, value) for i, value in enumerate([encode(made), spaced])]
    assert fates(log) == ["on_time", "duplicate"]
