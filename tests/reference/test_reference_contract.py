"""Single values against docs/rules.md: literal cases, one claim each."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from .contract import Policy, check
from .contract_table import BUSINESS, KEYS, LINE, TOPICS, members
from .rfc8259 import Object
from .samples import Raw, encode, event

POS, CINEMA, STOCK, REVIEW, CUSTOMER, PRODUCT, TITLE = TOPICS
PLAIN_POS = encode(event(POS))


def reasons(topic: str, value: bytes | None = None, **changes: Any) -> list[str]:
    return sorted(check(topic, encode(event(topic, **changes)) if value is None else value, Policy()).reasons)


def line(**changes: Any) -> list[dict[str, Any]]:
    made = {"line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 1, **changes}
    return [{name: one for name, one in made.items() if one is not ...}]


BYTES = {
    "R2 a tombstone is empty": (None, "empty_value"),
    "R2 no bytes are empty": (b"", "empty_value"),
    "R2 white space alone is empty": (b" \t\r\n", "empty_value"),
    "R2 a form feed is no white space": (b"\x0c", "invalid_json"),
    "R2 invalid UTF-8": (b'{"event_id":"\xff"}', "invalid_json"),
    "R2 an encoded surrogate is invalid UTF-8": (b'{"a":"\xed\xa0\x80"}', "invalid_json"),
    "R2 a byte order mark": (b"\xef\xbb\xbf{}", "invalid_json"),
    "R2 UTF-16": ("{}".encode("utf-16"), "invalid_json"),
    "R2 NaN": (b'{"a":NaN}', "invalid_json"),
    "R2 minus Infinity": (b'{"a":-Infinity}', "invalid_json"),
    "R2 a trailing comma in an object": (b'{"a":1,}', "invalid_json"),
    "R2 a trailing comma in a list": (b'{"a":[1,]}', "invalid_json"),
    "R2 a comment": (b'{"a":1}//x', "invalid_json"),
    "R2 a leading zero": (b'{"a":01}', "invalid_json"),
    "R2 a minus and a leading zero": (b'{"a":-01}', "invalid_json"),
    "R2 a point without digits": (b'{"a":1.}', "invalid_json"),
    "R2 a plus sign": (b'{"a":+1}', "invalid_json"),
    "R2 two values": (b"{}{}", "invalid_json"),
    "R2 two values on two lines": (b"{}\n{}", "invalid_json"),
    "R2 single quotes": (b"{'a':1}", "invalid_json"),
    "R2 a lone high surrogate": (rb'{"a":"\ud83d"}', "invalid_json"),
    "R2 a lone low surrogate": (rb'{"a":"\ude00"}', "invalid_json"),
    "R2 two halves the wrong way round": (rb'{"a":"\ude00\ud83d"}', "invalid_json"),
    "R2 a lone surrogate in a name": (rb'{"\ud83d":1}', "invalid_json"),
    "R2 a control character in a string": (b'{"a":"\x1f"}', "invalid_json"),
    "R2 an unknown escape": (rb'{"a":"\x41"}', "invalid_json"),
    "R2 a short unicode escape": (rb'{"a":"\u12"}', "invalid_json"),
    "R2 a cut-off object": (PLAIN_POS[:-1], "invalid_json"),
    "R2 digits of another script": ('{"a":\u0661}'.encode(), "invalid_json"),
    "R2 nested 129 deep": (b'{"a":' + b"[" * 128 + b"]" * 128 + b"}", "invalid_json"),
    "R2 nested 100,000 deep": (b"[" * 100_000, "invalid_json"),
    "R2 a list is no object": (b"[{}]", "not_an_object"),
    "R2 null is no object": (b" null ", "not_an_object"),
    "R2 a number is no object": (b"12", "not_an_object"),
    "R2 a member twice": (PLAIN_POS[:-1] + b',"event_id":"E1"}', "duplicate_field"),
    "R2 an unknown member twice": (PLAIN_POS[:-1] + b',"x":1,"x":1}', "duplicate_field"),
    "R2 a member twice, once escaped": (PLAIN_POS[:-1] + rb',"event\u005fid":"E1"}', "duplicate_field"),
}


@pytest.mark.parametrize("claim", BYTES)
def test_invalid_json_stops_at_the_parse_stage(claim: str) -> None:
    value, reason = BYTES[claim]
    assert sorted(check(POS, value, Policy()).reasons) == [reason]


def test_r2_128_levels_are_valid_and_a_surrogate_pair_is_one_character() -> None:
    deep = b',"x":' + b"[" * 127 + b"]" * 127
    assert reasons(POS, PLAIN_POS[:-1] + deep + rb',"y":"\ud83d\ude00"}') == []


def test_r2_a_repeated_member_is_duplicate_field_in_a_line_but_not_in_a_nested_extra() -> None:
    twice = Raw('[{"line_number":1,"line_number":1,"product_id":"P","quantity":1,"unit_price":1}]')
    assert reasons(POS, items=twice) == ["duplicate_field"]
    assert reasons(POS, x=Raw('{"a":1,"a":2}')) == []
    assert reasons(REVIEW, items=twice) == [], "items is no member of a review"


FINE: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    "R4 3.0 is an integer": (REVIEW, {"rating": Raw("3.0")}, "rating", 3),
    "R4 3e0 is an integer": (REVIEW, {"rating": Raw("3e0")}, "rating", 3),
    "R4 0.3E+1 is an integer": (REVIEW, {"rating": Raw("0.3E+1")}, "rating", 3),
    "R4 the largest int64": (REVIEW, {"helpful_votes": Raw("9223372036854775807")}, "helpful_votes", 2**63 - 1),
    "R4 zero with a huge exponent": (REVIEW, {"helpful_votes": Raw("0e99999999999999999999")}, "helpful_votes", 0),
    "R4 an empty list of strings": (TITLE, {"genres": []}, "genres", []),
    "R4 an optional text may be empty": (REVIEW, {"review_text": ""}, "review_text", ""),
    "R4 a text keeps its white space": (PRODUCT, {"name": " x "}, "name", " x "),
    "R4 a no-break space is not blank": (PRODUCT, {"name": "\u00a0"}, "name", "\u00a0"),
    "R5 a string is money": (PRODUCT, {"unit_cost": "4.20"}, "unit_cost", Decimal("4.2000")),
    "R5 no float": (PRODUCT, {"unit_cost": Raw("99999999999999.9999")}, "unit_cost", Decimal("99999999999999.9999")),
    "R5 half goes away from zero": (PRODUCT, {"unit_cost": Raw("0.00005")}, "unit_cost", Decimal("0.0001")),
    "R5 less than half goes to zero": (PRODUCT, {"unit_cost": Raw("0.000049999")}, "unit_cost", Decimal("0.0000")),
    "R5 the limit is below 10^14": (
        PRODUCT,
        {"unit_cost": Raw("99999999999999.99994")},
        "unit_cost",
        Decimal("99999999999999.9999"),
    ),
    "R5 minus zero is 0": (PRODUCT, {"unit_cost": Raw("-0.0")}, "unit_cost", Decimal("0.0000")),
    "R5 an exponent": (PRODUCT, {"unit_cost": "1.5e3"}, "unit_cost", Decimal("1500.0000")),
    "R5 a tiny amount": (PRODUCT, {"unit_cost": Raw("1e-999999999999")}, "unit_cost", Decimal("0.0000")),
    "R6 lower case": (
        POS,
        {"event_time": "2026-03-02t12:00:00z"},
        "event_time",
        datetime(2026, 3, 2, 12, tzinfo=UTC),
    ),
    "R6 an offset": (
        POS,
        {"event_time": "2026-03-02T01:00:00+14:00"},
        "event_time",
        datetime(2026, 3, 1, 11, tzinfo=UTC),
    ),
    "R6 digits are cut": (
        POS,
        {"event_time": "2026-03-02T12:00:00.9999999Z"},
        "event_time",
        datetime(2026, 3, 2, 12, 0, 0, 999999, tzinfo=UTC),
    ),
    "R6 the first moment of 2000": (
        POS,
        {"event_time": "2000-01-01T00:00:00Z"},
        "event_time",
        datetime(2000, 1, 1, tzinfo=UTC),
    ),
    "R6 29 February": (CUSTOMER, {"birth_date": "2000-02-29"}, "birth_date", date(2000, 2, 29)),
    "R6 the last date": (CUSTOMER, {"birth_date": "2100-12-31"}, "birth_date", date(2100, 12, 31)),
    "R6 screenings of 1900": (
        CINEMA,
        {"screening_time": "1900-01-01T00:00:00Z"},
        "screening_time",
        datetime(1900, 1, 1, tzinfo=UTC),
    ),
    "R9 an adjustment may be 0": (STOCK, {"event_type": "adjustment", "quantity": 0}, "quantity", 0),
    "R9 an adjustment may be negative": (STOCK, {"event_type": "adjustment", "quantity": -4}, "quantity", -4),
    "R9 shrinkage needs no supplier": (STOCK, {"event_type": "shrinkage", "supplier_id": ...}, "supplier_id", None),
    "R7 payment_method is free text": (POS, {"payment_method": "shells"}, "payment_method", "shells"),
}


@pytest.mark.parametrize("claim", FINE)
def test_unusual_values_have_the_expected_meaning(claim: str) -> None:
    topic, changes, name, expected = FINE[claim]
    checked = check(topic, encode(event(topic, **changes)), Policy())
    assert checked.reasons == set()
    assert checked.row[name] == expected
    assert type(checked.row[name]) is type(expected)
    assert str(checked.row[name]) == str(expected), "of money: scale and sign, too"


WRONG: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "R3 names are case-sensitive": (POS, {"event_id": ..., "Event_ID": "E1"}, ["missing:event_id"]),
    "R4 3.5 is no integer": (REVIEW, {"rating": Raw("3.5")}, ["type:rating"]),
    "R4 a string is no integer": (REVIEW, {"rating": "3"}, ["type:rating"]),
    "R4 true is no integer": (REVIEW, {"rating": True}, ["type:rating"]),
    "R4 beyond int64": (REVIEW, {"helpful_votes": Raw("9223372036854775808")}, ["type:helpful_votes"]),
    "R4 1e400": (REVIEW, {"helpful_votes": Raw("1e400")}, ["type:helpful_votes"]),
    "R4 the smallest int64 is only out of range": (
        REVIEW,
        {"helpful_votes": Raw("-9223372036854775808")},
        ["range:helpful_votes"],
    ),
    "R4 1 is no boolean": (REVIEW, {"verified_purchase": 1}, ["type:verified_purchase"]),
    "R4 a required text is not blank": (POS, {"payment_method": " \t"}, ["missing:payment_method"]),
    "R4 a required text is not null": (POS, {"payment_method": None}, ["missing:payment_method"]),
    "R4 a number is no text": (POS, {"payment_method": 5}, ["type:payment_method"]),
    "R4 an optional text of another type": (POS, {"store_id": 5}, ["type:store_id"]),
    "R4 a list holds no nulls": (TITLE, {"genres": ["a", None]}, ["type:genres"]),
    "R4 a required list is not null": (TITLE, {"genres": None}, ["missing:genres"]),
    "R4 items are not empty": (POS, {"items": []}, ["range:items"]),
    "R4 items are not null": (POS, {"items": None}, ["missing:items"]),
    "R4 items are a list": (POS, {"items": {}}, ["type:items"]),
    "R4 a line is an object": (POS, {"items": [1, *line()]}, ["type:items"]),
    "R4 a required enumeration that is empty": (POS, {"channel": ""}, ["missing:channel"]),
    "R4 an optional enumeration that is empty": (STOCK, {"quality_status": ""}, ["enum:quality_status"]),
    "R4 an unknown type asks for no supplier": (
        STOCK,
        {"event_type": "gift", "supplier_id": 7, "quantity": -1},
        ["enum:event_type"],
    ),
    "R4 an unknown type of a master topic is held to four members": (
        CUSTOMER,
        {"event_type": "merge", "name": ..., "birth_date": 5, "event_id": ""},
        ["enum:event_type", "missing:event_id"],
    ),
    "R5 no white space in money": (PRODUCT, {"unit_cost": "4.20 "}, ["type:unit_cost"]),
    "R5 empty money": (PRODUCT, {"unit_cost": ""}, ["type:unit_cost"]),
    "R5 a comma": (PRODUCT, {"unit_cost": "4,20"}, ["type:unit_cost"]),
    "R5 a point first": (PRODUCT, {"unit_cost": ".5"}, ["type:unit_cost"]),
    "R5 money is no boolean": (PRODUCT, {"unit_cost": False}, ["type:unit_cost"]),
    "R5 10^14 after rounding": (PRODUCT, {"unit_cost": Raw("99999999999999.99995")}, ["range:unit_cost"]),
    "R5 a huge amount": (PRODUCT, {"unit_cost": "1e999999999999999999999"}, ["range:unit_cost"]),
    "R5 bounds hold before rounding": (PRODUCT, {"unit_cost": Raw("-0.00001")}, ["range:unit_cost"]),
    "R6 no zone": (POS, {"event_time": "2026-03-02T12:00:00"}, ["type:event_time"]),
    "R6 a zone without colon": (POS, {"event_time": "2026-03-02T12:00:00+0100"}, ["type:event_time"]),
    "R6 a space for T": (POS, {"event_time": "2026-03-02 12:00:00Z"}, ["type:event_time"]),
    "R6 24:00": (POS, {"event_time": "2026-03-02T24:00:00Z"}, ["type:event_time"]),
    "R6 a leap second": (POS, {"event_time": "2026-03-02T23:59:60Z"}, ["type:event_time"]),
    "R6 30 February": (POS, {"event_time": "2026-02-30T00:00:00Z"}, ["type:event_time"]),
    "R6 an offset of 24 h": (POS, {"event_time": "2026-03-02T12:00:00+24:00"}, ["type:event_time"]),
    "R6 a point without digits": (POS, {"event_time": "2026-03-02T12:00:00.Z"}, ["type:event_time"]),
    "R6 a number": (POS, {"event_time": 1772452800}, ["type:event_time"]),
    "R6 the last microsecond of 1999": (POS, {"event_time": "1999-12-31T23:59:59.999999Z"}, ["range:event_time"]),
    "R6 before 2000 in UTC": (POS, {"event_time": "2000-01-01T00:00:00+00:01"}, ["range:event_time"]),
    "R6 the year 0001": (POS, {"event_time": "0001-01-01T00:00:00+01:00"}, ["range:event_time"]),
    "R6 no empty event time": (POS, {"event_time": ""}, ["missing:event_time"]),
    "R6 a date of 1899": (CUSTOMER, {"birth_date": "1899-12-31"}, ["range:birth_date"]),
    "R6 a date of 2101": (CUSTOMER, {"birth_date": "2101-01-01"}, ["range:birth_date"]),
    "R6 a short date": (CUSTOMER, {"birth_date": "2000-1-1"}, ["type:birth_date"]),
    "R6 29 February 1900": (CUSTOMER, {"birth_date": "1900-02-29"}, ["type:birth_date"]),
    "R6 a time is no date": (CUSTOMER, {"signup_date": "2000-01-01T00:00:00Z"}, ["type:signup_date"]),
    "R6 a screening of 2101": (CINEMA, {"screening_time": "2101-01-01T00:00:00Z"}, ["range:screening_time"]),
    "R7 enumerations are case-sensitive": (POS, {"channel": "Store"}, ["enum:channel"]),
    "R7 a cinema has a channel of its own": (CINEMA, {"channel": "store"}, ["enum:channel"]),
    "R8 one bad line stops the event": (
        POS,
        {"items": [*line(), *line(line_number=2, quantity=0)]},
        ["range:items.quantity"],
    ),
    "R9 line_number is at least 1": (POS, {"items": line(line_number=0)}, ["range:items.line_number"]),
    "R9 line_number is unique": (POS, {"items": line() + line(line_number=Raw("1.0"))}, ["rule:line_number"]),
    "R9 no two subjects": (REVIEW, {"product_id": "P1"}, ["rule:one_subject"]),
    "R9 a subject of a wrong type counts": (REVIEW, {"product_id": 5}, ["rule:one_subject", "type:product_id"]),
    "R9 one subject at least": (REVIEW, {"title_id": None}, ["rule:one_subject"]),
    "R9 yen": (POS, {"currency": "JPY"}, ["enum:currency"]),
    "R9 negative cost": (STOCK, {"unit_cost": -1}, ["range:unit_cost"]),
    "R9 rating 6": (REVIEW, {"rating": 6}, ["range:rating"]),
    "R9 rating 0": (REVIEW, {"rating": 0}, ["range:rating"]),
    "R9 a delivery without supplier": (STOCK, {"supplier_id": " "}, ["missing:supplier_id"]),
    "R12 a return's quantity is positive": (
        POS,
        {"event_type": "return", "items": line(quantity=-1)},
        ["range:items.quantity"],
    ),
    "R12 a cancellation carries all fields": (
        CINEMA,
        {"event_type": "cancellation", "ticket_type": ...},
        ["missing:ticket_type"],
    ),
    "R13 all that failed, sorted, once each": (
        POS,
        {"items": line(quantity=0, unit_price="x") + line(line_number=2, quantity=0), "event_id": None, "channel": "x"},
        ["enum:channel", "missing:event_id", "range:items.quantity", "type:items.unit_price"],
    ),
}


@pytest.mark.parametrize("claim", WRONG)
def test_contract_violations_have_the_expected_reasons(claim: str) -> None:
    topic, changes, expected = WRONG[claim]
    assert reasons(topic, **changes) == expected


def test_r11_a_delete_is_checked_for_four_members_and_its_extras_are_ignored() -> None:
    gone = event(CUSTOMER, event_type="delete", name=5, birth_date="never", extra=1)
    checked = check(CUSTOMER, encode(gone), Policy())
    assert (checked.reasons, checked.extras, checked.drift) == (set(), {}, [])
    assert set(checked.row) == {"event_id", "event_type", "event_time", "customer_id"}
    assert reasons(CUSTOMER, event_type="delete", customer_id=" ") == ["missing:customer_id"]


WARNINGS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "R5 five decimals": (PRODUCT, {"unit_cost": Raw("1.23456")}, {"money_rounded"}),
    "R5 five decimals, the last a zero, lose nothing": (PRODUCT, {"unit_cost": Raw("1.23450")}, set()),
    "R10 a discount above the line": (
        POS,
        {"items": line(unit_price=5, quantity=2, discount_amount=Raw("10.0001"))},
        {"discount_exceeds_line"},
    ),
    "R10 a discount of the whole line": (POS, {"items": line(unit_price=5, quantity=2, discount_amount=10)}, set()),
    "R10 a store sale without its store": (POS, {"channel": "store"}, {"store_missing"}),
    "R10 a blank store is none": (POS, {"channel": "store", "store_id": " "}, {"store_missing"}),
    "R10 an online sale has no store": (POS, {"channel": "online"}, set()),
}


@pytest.mark.parametrize("claim", WARNINGS)
def test_warn_rules_keep_the_record_and_report_their_name(claim: str) -> None:
    topic, changes, expected = WARNINGS[claim]
    checked = check(topic, encode(event(topic, **changes)), Policy())
    assert checked.reasons == set()
    assert checked.warnings == expected


def test_r3_and_r29_unknown_members_are_drift_and_kept_unchanged() -> None:
    checked = check(POS, encode(event(POS, Event_ID="x", note=None, items=line(gift=True))), Policy())
    assert checked.drift == ["Event_ID", "note", "items.gift"]
    assert checked.extras == {"Event_ID": "x", "note": None, "items": [Object((("gift", True),))]}


def test_r18_currency_and_minimum_event_time_are_settings() -> None:
    policy = Policy(currency="JPY", min_event_time=datetime(2026, 3, 2, 13, tzinfo=UTC))
    yen = encode(event(POS, currency="JPY", event_time="2026-03-02T12:59:59Z"))
    assert check(POS, yen, policy).reasons == {"range:event_time"}


def test_the_sample_event_of_every_topic_is_valid() -> None:
    assert [topic for topic in TOPICS if reasons(topic)] == []


def test_the_contracts_of_the_pipeline_equal_those_of_the_rules() -> None:
    """Names, kinds, nullability, values, bounds and keys equal the copy from docs/rules.md."""
    contracts = pytest.importorskip("pipelines.contracts.registry")
    assert list(contracts.CONTRACTS) == list(TOPICS)
    assert contracts.BUSINESS_TOPICS == BUSINESS
    for topic, contract in contracts.CONTRACTS.items():
        assert contract.key_field == KEYS[topic]
        theirs = {one.name: one for one in contract.fields}
        assert list(theirs) == [one.name for one in members(topic)]
        lines = {one.name: one for one in theirs["items"].lines} if "items" in theirs else {}
        assert list(lines) == ([one.name for one in LINE] if lines else [])
        for ours in [*members(topic), *(LINE if lines else ())]:
            other = lines.get(ours.name) or theirs[ours.name]
            assert other.kind == ours.kind, ours
            assert tuple(other.values) == ours.values, ours
            if (topic, ours.name) != (STOCK, "quantity"):  # bounded except for adjustments
                assert (other.minimum, other.maximum) == (ours.least, ours.most), ours
            if (topic, ours.name) != (STOCK, "supplier_id"):  # required for a delivery
                assert other.optional == ours.optional, ours
