"""Literal histories of one customer: which changes open, split or close versions (R31, R33, R41).

A change has the form `time:tier` or `time:delete`, in the order of the log. A version has the form `from-to:tier`,
with `!` if a delete closed it and a leading `?` if it is inferred.
"""

import random

import pytest

from .contract_table import TOPICS
from .history import BEGINNING, Need, Version, histories, one_history, version_at
from .samples import at, encode, event, iso, record
from .silver import Record, Verdict, judge

CUSTOMER, PRODUCT = TOPICS[4], TOPICS[5]
TIERS = {"n": "none", "b": "bronze", "s": "silver", "g": "gold"}


def change(number: int, text: str, partition: int = 0) -> Record:
    """Parse changes. `10:g`: tier gold at second 10; `10:g@Linz`: also city Linz; `10:g=Kai`: also name Kai."""
    moment, what = text.split(":")
    made = event(CUSTOMER, event_id=f"e{partition}/{number}", event_time=iso(at(int(moment))))
    what, _, name = what.partition("=")
    tier, _, city = what.partition("@")
    if tier == "delete":
        made["event_type"] = "delete"
    else:
        made |= {"loyalty_tier": TIERS[tier], "city": city or "Wien", "name": name or "Aiko"}
    return record(CUSTOMER, number, partition=partition, value=encode(made), recorded=10**6)


def changes(text: str) -> list[Verdict]:
    accepted = judge([change(number, part) for number, part in enumerate(text.split())]).accepted()
    assert len(accepted) == len(text.split())
    return accepted


def seconds(version: Version) -> str:
    since = "" if version.valid_from == BEGINNING else f"{(version.valid_from - at(0)).total_seconds():.0f}"
    until = "" if version.valid_to is None else f"{(version.valid_to - at(0)).total_seconds():.0f}"
    return f"{since}-{until}"


def written(versions: list[Version]) -> str:
    parts = []
    for one in versions:
        tier = (one.attributes.get("loyalty_tier") or "-")[0]
        parts.append(f"{'?' * one.is_inferred}{seconds(one)}:{tier}{'!' * one.is_deleted}")
        assert one.is_current == (one.valid_to is None)
        assert one.valid_to is None or one.valid_from < one.valid_to, "no version is empty"
    assert [one.version for one in versions] == [
        number + (not versions[0].is_inferred) for number in range(len(versions))
    ], "1, 2, ... by valid_from; 0 of an inferred one"
    return " ".join(parts)


CASES = {
    "nothing": ("", "", ""),
    "one insert": ("10:n", "", "10-:n"),
    "an update": ("10:n 20:b", "", "10-20:n 20-:b"),
    "three updates": ("10:n 20:b 30:s 40:g", "", "10-20:n 20-30:b 30-40:s 40-:g"),
    "there and back again": ("10:n 20:b 30:n", "", "10-20:n 20-30:b 30-:n"),
    "an update that changes nothing": ("10:n 20:n", "", "10-:n"),
    "many that change nothing": ("10:n 20:n 30:n 40:b 50:b", "", "10-40:n 40-:b"),
    "another city is another version": ("10:n@Wien 20:n@Linz", "", "10-20:n 20-:n"),
    "another name is none": ("10:n=A 20:n=B", "", "10-:n"),
    "a backdated insert": ("20:b 10:n", "", "10-20:n 20-:b"),
    "a backdated change splits a version": ("10:n 30:s 20:b", "", "10-20:n 20-30:b 30-:s"),
    "a backdated change equal to the version before": ("10:n 30:s 20:n", "", "10-30:n 30-:s"),
    "a backdated change equal to the version after moves its start": ("10:n 30:s 20:s", "", "10-20:n 20-:s"),
    "a backdated change before all, equal to the first": ("20:n 10:n", "", "10-:n"),
    "a backdated change parts two that were one": ("10:n 30:n 20:b", "", "10-20:n 20-30:b 30-:n"),
    "two backdated changes in the wrong order": ("10:n 40:g 30:s 20:b", "", "10-20:n 20-30:b 30-40:s 40-:g"),
    "all in the wrong order": ("40:g 30:s 20:b 10:n", "", "10-20:n 20-30:b 30-40:s 40-:g"),
    "a tie: the later in the log counts": ("10:n 20:b 20:s", "", "10-20:n 20-:s"),
    "a tie of three": ("20:b 20:s 20:g", "", "20-:g"),
    "a tie at the first instant": ("10:b 10:n 20:b", "", "10-20:n 20-:b"),
    "a tie whose last changes nothing": ("10:n 20:b 20:n", "", "10-:n"),
    "a tie that arrives much later": ("10:n 20:b 30:s 20:g", "", "10-20:n 20-30:g 30-:s"),
    "a delete": ("10:n 20:delete", "", "10-20:n!"),
    "a delete and a return": ("10:n 20:delete 30:b", "", "10-20:n! 30-:b"),
    "a return as the same": ("10:n 20:delete 30:n", "", "10-20:n! 30-:n"),
    "two deletes": ("10:n 20:delete 30:delete", "", "10-20:n!"),
    "two deletes in the wrong order": ("10:n 30:delete 20:delete", "", "10-20:n!"),
    "a delete before any insert": ("10:delete 20:n", "", "20-:n"),
    "only deletes": ("10:delete 20:delete", "", ""),
    "a backdated delete leaves a gap until the next change": ("10:n 30:b 20:delete", "", "10-20:n! 30-:b"),
    "a backdated delete between equal changes": ("10:n 30:n 20:delete", "", "10-20:n! 30-:n"),
    "a backdated insert into a gap": ("10:n 20:delete 40:b 30:s", "", "10-20:n! 30-40:s 40-:b"),
    "a backdated change before a delete": ("10:n 30:delete 20:b", "", "10-20:n 20-30:b!"),
    "an out-of-order delete arrives before its insert": ("20:delete 10:n", "", "10-20:n!"),
    "a tie of change and delete: deleted": ("10:n 20:b 20:delete", "", "10-20:n!"),
    "a tie of delete and change: changed": ("10:n 20:delete 20:b", "", "10-20:n 20-:b"),
    "a tie of delete and equal change: nothing happened": ("10:n 20:delete 20:n", "", "10-:n"),
    "a tie of insert and delete at the start": ("10:n 10:delete 20:b", "", "20-:b"),
    "two gaps": ("10:n 20:delete 30:b 40:delete 50:s", "", "10-20:n! 30-40:b! 50-:s"),
    "a fact before the first version": ("10:n", "5", "?-10:n 10-:n"),
    "a fact at the first instant needs nothing": ("10:n", "10", "10-:n"),
    "a fact of an unknown customer": ("", "5", "?-:-"),
    "a fact of a customer with deletes only": ("10:delete", "20", "?-:-"),
    "a fact in a gap needs nothing": ("10:n 20:delete 30:b", "25", "10-20:n! 30-:b"),
    "a backdated insert moves an inferred member's end": ("20:b 10:n", "5", "?-10:n 10-20:n 20-:b"),
    "a backdated insert ends the need for it": ("20:b 4:n", "5", "4-20:n 20-:b"),
}


@pytest.mark.parametrize("claim", CASES)
def test_a_history_has_the_expected_versions(claim: str) -> None:
    log, facts, expected = CASES[claim]
    needed = [at(int(moment)) for moment in facts.split()]
    assert written(one_history(CUSTOMER, "C1", changes(log), needed)) == expected


@pytest.mark.parametrize("claim", [claim for claim, case in CASES.items() if not case[1]])
def test_r31_replay_changes_nothing_and_arrival_order_decides_ties_only(claim: str) -> None:
    log, _, expected = CASES[claim]
    made = changes(log)
    assert written(one_history(CUSTOMER, "C1", made + made, [])) == expected
    random.Random(claim).shuffle(made)
    assert written(one_history(CUSTOMER, "C1", made, [])) == expected, "partition and offset, not arrival, break ties"


def test_r31_of_ties_between_partitions_the_greater_partition_wins() -> None:
    made = judge([change(9, "10:b", partition=0), change(0, "10:g", partition=1)]).accepted()
    assert written(one_history(CUSTOMER, "C1", made[::-1], [])) == "10-:g"


def test_r31_type_1_columns_show_the_last_value_inside_the_version() -> None:
    versions = one_history(CUSTOMER, "C1", changes("10:n=A 20:n=B 30:b=C 25:n=D 25:n=E"), [])
    assert [one.attributes["name"] for one in versions] == ["E", "C"]


def test_r33_an_inferred_member_has_the_first_versions_attributes_except_cost() -> None:
    log = [record(PRODUCT, 0, 10, name="first"), record(PRODUCT, 1, 20, name="second")]
    inferred, first = one_history(PRODUCT, "P1", judge(log).accepted(), [at(5)])
    assert inferred.attributes == {**first.attributes, "unit_cost": None}
    assert (first.attributes["name"], first.attributes["unit_cost"]) == ("second", first.attributes["unit_cost"])
    assert (inferred.valid_from, inferred.valid_to, inferred.version) == (BEGINNING, first.valid_from, 0)


def test_r41_a_delete_blanks_personal_data_before_it_only() -> None:
    versions = one_history(CUSTOMER, "C1", changes("10:n=A 20:b=B 30:delete 40:s=C"), [at(5)])
    assert [one.attributes["name"] for one in versions] == [None, None, None, "C"]
    assert [one.attributes["city"] for one in versions] == ["Wien"] * 4
    signed_up_at_once = one_history(CUSTOMER, "C1", changes("10:b=A 20:delete 20:n=B"), [])
    assert [one.attributes["name"] for one in signed_up_at_once] == [None, "B"], "the delete lost the tie, and still"
    same_again = one_history(CUSTOMER, "C1", changes("10:n=A 20:delete 20:n=B"), [])
    assert [one.attributes["name"] for one in same_again] == ["B"]
    first_deleted = one_history(CUSTOMER, "C1", changes("10:delete 20:n=B"), [at(5)])
    assert [one.attributes["name"] for one in first_deleted] == ["B", "B"], "the inferred member shows the later one"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(5, "-10"), (10, "10-20"), (19, "10-20"), (20, "10-20"), (29, "10-20"), (30, "30-40"), (50, "30-40")],
)
def test_r33_a_fact_joins_the_valid_version_or_the_deleted_one_in_a_gap(moment: int, expected: str) -> None:
    versions = one_history(CUSTOMER, "C1", changes("10:n 20:delete 30:b 40:delete"), [at(5)])
    assert seconds(version_at(versions, at(moment))) == expected


def test_members_without_changes_or_facts_have_no_rows() -> None:
    assert histories(changes("10:delete"), []) == {}
    assert list(histories([], [Need(PRODUCT, "P9", at(0))])) == [(PRODUCT, "P9")]
