"""The pipeline's parser and the reference agree on every value: all reasons, or every typed field (R2-R13)."""

import random
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.contracts.registry import CONTRACTS
from pipelines.parsing.layouts import Layouts
from pipelines.parsing.parse import Parsed, parse, parse_exactly
from pipelines.parsing.values import ParseRules
from tests.reference.adversary_values import any_value
from tests.reference.contract import Checked, Policy, check
from tests.reference.contract_table import TOPICS, members
from tests.reference.rfc8259 import Object, canonical
from tests.reference.rfc8259 import parse as parse_json
from tests.reference.samples import PLAIN, Raw, encode, event

WRONG: list[Any] = [7, -1, "7", "", None, True, [], {}, "2026-02-30", "2026-02-30T00:00:00Z", "1999-01-01T00:00:00Z"]
Parser = Callable[[str, list[bytes | None], Layouts], Parsed]


def both_paths(topic: str, values: list[bytes | None], layouts: Layouts) -> Parsed:
    return parse(CONTRACTS[topic], pa.array(values, pa.binary()), ParseRules(), layouts)


def exact_path(topic: str, values: list[bytes | None], _: Layouts) -> Parsed:
    rows = pl.Series(range(len(values)), dtype=pl.UInt32)
    return parse_exactly(CONTRACTS[topic], pa.array(values, pa.binary()), rows, ParseRules())


def differences(topic: str, values: list[bytes | None], parsed: Parsed) -> list[str]:
    """One line for each value or field on which pipeline and reference differ."""
    events = {row["row"]: row for row in parsed.events.to_dicts()}
    rejects = {row["row"]: row for row in parsed.rejects.to_dicts()}
    found = []
    if sorted([*events, *rejects]) != list(range(len(values))):
        found.append(f"{topic}: rows in are not rows out")
    for number, value in enumerate(values):
        ours = check(topic, value, Policy())
        name = f"{topic} {value!r}"[:1500]
        if number in rejects or ours.reasons:
            theirs = rejects.get(number, {"reasons": [], "event_id": None})
            if list(theirs["reasons"]) != sorted(ours.reasons):
                found.append(f"{name}: {sorted(ours.reasons)} expected, found {theirs['reasons']}")
        else:
            found += [f"{name}: {one}" for one in _field_differences(topic, ours, events[number])]
    return found


def _field_differences(topic: str, ours: Checked, theirs: dict[str, Any]) -> list[str]:
    found = []
    for member in members(topic):
        expected, made = ours.row.get(member.name), theirs[member.name]
        if repr(expected) != repr(made) and not (expected == made and type(expected) is type(made) is not list):
            found.append(f"{member.name}: {expected!r} expected, found {made!r}")
    extra = parse_json((theirs["_extra"] or "{}").encode("utf-8", "surrogatepass"))
    if canonical(extra) != canonical(Object(tuple(ours.extras.items()))):
        found.append(f"_extra: {ours.extras} expected, found {theirs['_extra']}")
    if bool(theirs["money_rounded"]) != ("money_rounded" in ours.warnings):
        found.append(f"money_rounded: {'money_rounded' in ours.warnings} expected, found {theirs['money_rounded']}")
    return found


def by_topic(seeds: range) -> dict[str, list[bytes | None]]:
    made: dict[str, list[bytes | None]] = defaultdict(list)
    for seed in seeds:
        topic, value = any_value(seed)
        made[topic].append(value)
    return made


@pytest.mark.parametrize("parser", [both_paths, exact_path])
@pytest.mark.parametrize("start", [0, 5000])
def test_pipeline_and_reference_agree_on_adversarial_values(parser: Parser, start: int) -> None:
    found = []
    for topic, values in by_topic(range(start, start + 5000)).items():
        found += differences(topic, values, parser(topic, values, Layouts()))
    assert found == [], "\n".join(found[:40])


def test_layouts_learned_from_other_values_change_no_result() -> None:
    """One Layouts object for all topics, valid values in between, small and large calls."""
    layouts, found = Layouts(), []
    for topic, adversarial in by_topic(range(20_000, 24_000)).items():
        valid: list[bytes | None] = [encode(event(topic, event_id=f"p{number}")) for number in range(2000)]
        mixed = adversarial + valid
        random.Random(7).shuffle(mixed)
        for values in (valid, mixed[:5], mixed):
            found += differences(topic, values, both_paths(topic, values, layouts))
    assert found == [], "\n".join(found[:40])


@pytest.mark.parametrize("topic", TOPICS)
def test_no_layout_is_learned_from_values_with_the_same_fault(topic: str) -> None:
    """All values have the same wrong member, which a layout learned from them might match."""
    found = []
    for member in members(topic):
        for wrong in WRONG:
            values: list[bytes | None] = [
                encode(event(topic, **{"event_id": f"e{number}", member.name: wrong})) for number in range(60)
            ]
            found += differences(topic, values, both_paths(topic, values, Layouts()))
    assert found == [], "\n".join(found[:40])


@pytest.mark.parametrize("topic", TOPICS)
def test_pipeline_and_reference_agree_on_absent_blank_and_wrong_members(topic: str) -> None:
    faults: list[Any] = [None, ..., "", " ", "\t\n", "\u00a0", "\x0b", [], {}, 0, "0", Raw("0.0"), True]
    event_types = [None, "nope", ..., "delete", "adjustment", "upsert", PLAIN[topic]["event_type"]]
    values: list[bytes | None] = [
        encode(event(topic, **{"event_type": event_type, member.name: one}))
        for member, one, event_type in product(members(topic), faults, event_types)
    ]
    found = differences(topic, values, both_paths(topic, values, Layouts()))
    assert found == [], "\n".join(found[:40])


def test_pipeline_and_reference_agree_on_pairs_of_line_numbers_and_of_subjects() -> None:
    numbers = [1, 0, -1, Raw("1.0"), Raw("1e0"), Raw("1.5"), Raw("1e400"), "1", None, True, 2**63, ...]
    lines: list[bytes | None] = []
    reviews: list[bytes | None] = []
    for one, other in product(numbers, numbers):
        pair = [{"product_id": "P", "quantity": 1, "unit_price": 1, "line_number": number} for number in (one, other)]
        items = [{name: part for name, part in line.items() if part is not ...} for line in pair]
        lines.append(encode(event("pos-transactions", items=items)))
        reviews.append(encode(event("customer-reviews", product_id=one, title_id=other)))
    found = differences("pos-transactions", lines, both_paths("pos-transactions", lines, Layouts()))
    found += differences("customer-reviews", reviews, both_paths("customer-reviews", reviews, Layouts()))
    assert found == [], "\n".join(found[:40])
