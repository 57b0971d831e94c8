"""The fast path: which layouts it learns and which values it reads."""

import json
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.parsing.fast_path import parse_fast
from pipelines.parsing.layout_pattern import pattern
from pipelines.parsing.layouts import Layouts
from pipelines.parsing.parse import ParseRules, parse_exactly
from tests.pipelines.parsing.fuzz_parse import event

RULES = ParseRules()
SALE: dict[str, Any] = {
    "event_id": "E1",
    "event_type": "sale",
    "event_time": "2026-03-02T12:00:00.5+01:00",
    "transaction_id": "T1",
    "customer_id": None,
    "channel": "online",
    "payment_method": "Kartę",
    "currency": "EUR",
    "items": [
        {"line_number": n, "product_id": "P", "quantity": 1, "unit_price": 9.5, "discount_amount": 0} for n in (1, 2)
    ],
}


def texts(values: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"row": range(len(values)), "value": values}, schema={"row": pl.UInt32, "value": pl.String})


def compact(made: dict[str, Any]) -> str:
    return json.dumps(made, separators=(",", ":"), ensure_ascii=False)


def learned_from(made: dict[str, Any], topic: str = "pos-transactions") -> Layouts:
    """The layouts learned from many records like this one."""
    layouts = Layouts()
    events = parse_fast(CONTRACTS[topic], texts([compact(made)] * 300), RULES, layouts)
    assert events.height == 300
    return layouts


def reads(layouts: Layouts, value: str, topic: str = "pos-transactions") -> bool:
    return parse_fast(CONTRACTS[topic], texts([value]), RULES, layouts).height == 1


@pytest.mark.parametrize("by_python", [False, True])
@pytest.mark.parametrize("topic", TOPICS)
def test_nearly_all_valid_events_of_a_topic_are_read(topic: str, by_python: bool) -> None:
    """`by_python`: as json.dumps writes them, with spaces and with escapes for characters that are not ASCII."""
    rng = random.Random(1)
    made = [event(CONTRACTS[topic], rng) for _ in range(4000)]
    values = texts([json.dumps(one) if by_python else compact(one) for one in made])
    layouts = Layouts()
    parse_fast(CONTRACTS[topic], values, RULES, layouts)
    assert parse_fast(CONTRACTS[topic], values, RULES, layouts).height > 3700


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_any_order_of_members_and_the_spacing_of_json_dumps_are_learned(spaced: bool, reverse: bool) -> None:
    made = dict(sorted(SALE.items(), reverse=reverse))
    value = json.dumps(made) if spaced else compact(made)
    layouts = Layouts()
    assert parse_fast(CONTRACTS["pos-transactions"], texts([value] * 300), RULES, layouts).height == 300
    assert reads(layouts, value)


PLAIN = compact(SALE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"E1"', '"E\\u0031"'),
        ('"E1"', '" E1"'),
        ('"E1"', '""'),
        ('"E1"', "null"),
        ('"E1"', '"E\t1"'),
        ('"E1"', '"E1","event_id":"E2"'),
        ('"event_id"', '"Event_ID"'),
        ('"event_id":"E1",', ""),
        ('"EUR"', '"eur"'),
        ('"sale"', '"Sale"'),
        ('"customer_id":null', '"customer_id":5'),
        ("2026-03-02T", "2026-02-30T"),
        ("2026-03-02T12", "2026-03-02T24"),
        ("2026-03-02T", "1999-03-02T"),
        ("2026-03-02T", "2026-03-02 "),
        (".5+01:00", ".1234567+01:00"),
        ("+01:00", ""),
        ("+01:00", "+0100"),
        ('"line_number":2', '"line_number":1'),
        ('"line_number":2', '"line_number":0'),
        ('"line_number":2', '"line_number":2.0'),
        ('"quantity":1', '"quantity":-1'),
        ('"quantity":1', '"quantity":1e0'),
        ('"quantity":1', '"quantity":01'),
        ('"quantity":1', '"quantity":9223372036854775808'),
        ("9.5", "9.50001"),
        ("9.5", "-0"),
        ("9.5", "99999999999999"),
        ("9.5", '" 9.5"'),
        ("9.5", "9."),
        ("9.5", "NaN"),
        (',"items"', ',"new":1,"items"'),
        ('"items":[', '"items":[],"x":['),
        ("}]}", "}]} "),
        ("}]}", "}]}\n"),
        ("}]}", "},]}"),
        ("}]}", "}]}{}"),
        ("{", " {"),
    ],
)
def test_a_value_with_another_form_is_left_to_the_exact_path(old: str, new: str) -> None:
    layouts = learned_from(SALE)
    assert reads(layouts, PLAIN)
    assert PLAIN.count(old)
    assert not reads(layouts, PLAIN.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"customer_id":null,', ""),
        ('"customer_id":null', '"customer_id":" "'),
        ("9.5", '"9.5000"'),
        (',"discount_amount":0', ""),
        ('"line_number":1', '"line_number":999999999999999999'),
        ('"line_number":1', '"line_number":7'),
        ('"E1"', '"\x7f\u2028😀\'"'),
        ("2026-03-02T", "2024-02-29T"),
        ("+01:00", "-23:59"),
    ],
)
def test_a_value_of_the_same_form_is_read(old: str, new: str) -> None:
    assert reads(learned_from(SALE), PLAIN.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        (r"K\u014dhei", True),
        (r"\u014d \ud83d\ude00\" \\ \/ \n\t\u00e9\u0020", True),
        (r"\ud83d", False),
        (r"x\ude00\ud83d", False),
        (r"\ud83d\u0041", False),
        (r"x\u0000", False),
        (r"\u0020", False),
        (r"\t", False),
        (r"\n x", False),
        (r"x\x", False),
        (r"x\u12", False),
        ("\\", False),
    ],
)
def test_only_unambiguous_escapes_are_read(text: str, is_read: bool) -> None:
    made = SALE | {"payment_method": "Kart\u0119\n"}
    value = json.dumps(made)
    layouts = Layouts()
    parse_fast(CONTRACTS["pos-transactions"], texts([value] * 300), RULES, layouts)
    events = parse_fast(CONTRACTS["pos-transactions"], texts([value.replace(r"Kart\u0119\n", text)]), RULES, layouts)
    assert events["payment_method"].to_list() == ([json.loads(f'"{text}"')] if is_read else [])


def test_new_fields_of_all_records_are_learned_and_kept() -> None:
    made = SALE | {"gift": True, "points": 12.5, "Note": "it's", "row": 7}
    events = parse_fast(CONTRACTS["pos-transactions"], texts([compact(made)] * 300), RULES, Layouts())
    assert events["_extra"].unique().to_list() == ['{"gift":true,"points":12.5,"Note":"it\'s","row":7}']


@pytest.mark.parametrize("name", ["EVENT_ID", "a b", 'a"b', "a'b", "é", "", "x" * 64])
def test_new_fields_with_unusual_names_are_not_learned(name: str) -> None:
    layouts = Layouts()
    assert (
        parse_fast(CONTRACTS["pos-transactions"], texts([compact(SALE | {name: 1})] * 300), RULES, layouts).height == 0
    )
    assert layouts.compiled(CONTRACTS["pos-transactions"], RULES) == []


def test_no_layout_is_learned_from_invalid_events() -> None:
    layouts = Layouts()
    assert (
        parse_fast(
            CONTRACTS["pos-transactions"], texts([compact(SALE | {"currency": "YEN"})] * 300), RULES, layouts
        ).height
        == 0
    )
    assert layouts.compiled(CONTRACTS["pos-transactions"], RULES) == []


def test_a_layout_replaces_those_it_covers_and_at_most_sixteen_are_kept() -> None:
    contract, layouts = CONTRACTS["pos-transactions"], Layouts()
    short = {name: value for name, value in SALE.items() if name != "customer_id"}
    for made in (short, SALE):
        parse_fast(contract, texts([compact(made)] * 300), RULES, layouts)
    assert len(layouts.compiled(contract, RULES)) == 1
    rng = random.Random(3)
    for _ in range(40):
        made = dict(rng.sample(list(SALE.items()), len(SALE)))
        parse_fast(contract, texts([compact(made)] * 300), RULES, layouts)
    assert len(layouts.compiled(contract, RULES)) == 16


def test_amounts_with_more_decimals_are_equal_on_both_paths() -> None:
    """Amounts like those of floats, near ties, with trailing zeros, and as text."""
    contract, rng = CONTRACTS["pos-transactions"], random.Random(4)
    line = SALE["items"][0]

    def amount() -> str:
        whole, digits = rng.choice([0, 7, 98, 99_999_999, 123_456_789]), rng.randrange(1, 16)
        drawn = "".join(rng.choice("0123456789") for _ in range(digits))
        end = rng.choice(["", drawn, f"99{rng.choice('049')}{drawn}", "5", "50", "49999999999", "50000000001", "0001"])
        return f"{whole}.{rng.randrange(10_000):04}{end}"

    values = []
    for _ in range(6000):
        price, discount = amount(), amount() if rng.random() < 0.5 else "0.5"
        text = compact(SALE | {"items": [line | {"unit_price": "PRICE", "discount_amount": "DISCOUNT"}]})
        price = f'"{price}"' if rng.random() < 0.2 else price
        values.append(text.replace('"PRICE"', price).replace('"DISCOUNT"', discount))
    layouts = Layouts()
    parse_fast(contract, texts(values), RULES, layouts)
    events = parse_fast(contract, texts(values), RULES, layouts)
    assert events.height > 1000
    raw = pa.array([value.encode() for value in values], pa.binary())
    exact = parse_exactly(contract, raw, events["row"], RULES)
    assert exact.events.equals(events)
    assert events["money_rounded"].sum() > 500
    assert (~events["money_rounded"]).sum() > 200


def test_samples_without_different_optional_members_become_one_layout() -> None:
    """Returns have an original, sales a customer: no sample has both members and a discount."""
    contract, layouts = CONTRACTS["pos-transactions"], Layouts()
    bare = [{name: value for name, value in of.items() if name != "discount_amount"} for of in SALE["items"]]
    anonymous = {name: value for name, value in SALE.items() if name != "customer_id"}
    returned = {"original_transaction_id" if name == "customer_id" else name: value for name, value in SALE.items()}
    for made in (anonymous, SALE | {"items": bare}, returned | {"event_type": "return", "items": bare}):
        assert parse_fast(contract, texts([compact(made)] * 300), RULES, layouts).height == 300
    assert len(layouts.compiled(contract, RULES)) == 1


def test_a_currency_with_a_quote_has_no_pattern() -> None:
    contract, layouts = CONTRACTS["pos-transactions"], learned_from(SALE)
    layout = layouts.compiled(contract, RULES)[0].layout
    assert pattern(contract, ParseRules(currency="J(P.Y"), layout) is not None
    assert pattern(contract, ParseRules(currency='"'), layout) is None
