"""The rules R2-R13 on the exact path, as hand-written cases."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.contracts.registry import CONTRACTS
from pipelines.parsing.exact_path import ExactReader, Rejected, Row
from pipelines.parsing.values import ParseRules, microseconds, money, whole

LINE = {"line_number": 1, "product_id": "P1", "quantity": 2, "unit_price": 9.99}
EVENTS: dict[str, dict[str, Any]] = {
    "pos-transactions": {
        "event_type": "sale",
        "transaction_id": "T1",
        "channel": "store",
        "payment_method": "card",
        "currency": "EUR",
        "items": [LINE],
    },
    "cinema-sales": {
        "event_type": "booking",
        "booking_id": "B1",
        "screening_id": "S1",
        "title_id": "A1",
        "theater_id": "H1",
        "screening_time": "2026-03-03T19:30:00Z",
        "ticket_type": "4dx",
        "seats_booked": 2,
        "ticket_price": 11.5,
        "channel": "box_office",
        "payment_method": "cash",
    },
    "inventory-updates": {
        "event_type": "delivery",
        "update_id": "U1",
        "product_id": "P1",
        "warehouse_id": "W1",
        "quantity": 40,
        "supplier_id": "V1",
    },
    "customer-reviews": {
        "event_type": "review",
        "review_id": "R1",
        "customer_id": "C1",
        "title_id": "A1",
        "rating": 5,
        "verified_purchase": True,
    },
    "customer-profiles": {
        "event_type": "upsert",
        "customer_id": "C1",
        "name": "Aiko",
        "email": "a@example.com",
        "signup_date": "2025-04-01",
        "city": "Wien",
        "country": "AT",
        "loyalty_tier": "none",
        "preferred_genres": [],
        "marketing_opt_in": False,
    },
}
HEAD = {"event_id": "E1", "event_time": "2026-03-02T12:00:00Z"}


class Raw(str):
    """JSON text that is inserted unchanged."""


def encode(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{encode(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    return json.dumps(value)


def event(topic: str, **changes: Any) -> bytes:
    """A valid event with members changed; `...` leaves one out."""
    made = {**HEAD, **EVENTS[topic], **changes}
    return encode({name: one for name, one in made.items() if one is not ...}).encode()


def outcome(topic: str, value: bytes | None, rules: ParseRules | None = None) -> Row | Rejected:
    return ExactReader(CONTRACTS[topic], rules or ParseRules()).read(value)


def reasons(topic: str, value: bytes | None) -> list[str]:
    found = outcome(topic, value)
    return list(found.reasons) if isinstance(found, Rejected) else []


def cell(topic: str, name: str, **changes: Any) -> Any:
    """The cell of a member."""
    row = outcome(topic, event(topic, **changes))
    assert not isinstance(row, Rejected), row
    return row[[field.name for field in CONTRACTS[topic].fields].index(name)]


@pytest.mark.parametrize("topic", EVENTS)
def test_a_valid_event_is_accepted(topic: str) -> None:
    assert reasons(topic, event(topic)) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty_value"),
        (b"", "empty_value"),
        (b" \t\r\n", "empty_value"),
        (b"\x0b", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"{}{}", "invalid_json"),
        (b"[" * 1000, "invalid_json"),
        (b"null", "not_an_object"),
        (b"[{}]", "not_an_object"),
        (b'"{}"', "not_an_object"),
        (b'{"a":1,"a":1}', "duplicate_field"),
        (b'{"a":1,"\\u0061":2}', "duplicate_field"),
        (b'{"items":[{"x":1,"x":2}]}', "duplicate_field"),
        (b'{"a":1,"a":NaN}', "invalid_json"),
    ],
)
def test_a_value_that_is_no_event_has_exactly_one_reason(value: bytes | None, reason: str) -> None:
    assert reasons("pos-transactions", value) == [reason]


def test_a_name_twice_is_no_matter_deeper_down_or_in_the_items_of_another_topic() -> None:
    deep = Raw('{"x":1,"x":2}')
    assert reasons("pos-transactions", event("pos-transactions", note=deep, items=[{**LINE, "note": deep}])) == []
    assert reasons("customer-reviews", event("customer-reviews", items=[deep])) == []


PARSE_CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("pos-transactions", {"event_id": ...}, ["missing:event_id"]),
    ("pos-transactions", {"event_id": None}, ["missing:event_id"]),
    ("pos-transactions", {"event_id": " \t\r\n"}, ["missing:event_id"]),
    ("pos-transactions", {"event_id": "\u00a0"}, []),
    ("pos-transactions", {"event_id": 7}, ["type:event_id"]),
    ("pos-transactions", {"event_id": ..., "Event_ID": "E1"}, ["missing:event_id"]),
    ("pos-transactions", {"Event_ID": "E2"}, []),
    ("pos-transactions", {"event_type": ...}, ["missing:event_type"]),
    ("pos-transactions", {"event_type": " "}, ["missing:event_type"]),
    ("pos-transactions", {"event_type": "Sale"}, ["enum:event_type"]),
    ("pos-transactions", {"event_type": ["sale"]}, ["type:event_type"]),
    ("pos-transactions", {"event_type": "x", "channel": "x"}, ["enum:channel", "enum:event_type"]),
    ("pos-transactions", {"channel": ""}, ["missing:channel"]),
    ("pos-transactions", {"channel": "box_office"}, ["enum:channel"]),
    ("pos-transactions", {"currency": "eur"}, ["enum:currency"]),
    ("pos-transactions", {"currency": ""}, ["missing:currency"]),
    ("pos-transactions", {"customer_id": None, "store_id": ""}, []),
    ("pos-transactions", {"customer_id": 5}, ["type:customer_id"]),
    ("pos-transactions", {"items": ...}, ["missing:items"]),
    ("pos-transactions", {"items": []}, ["range:items"]),
    ("pos-transactions", {"items": {}}, ["type:items"]),
    ("pos-transactions", {"items": "[]"}, ["type:items"]),
    ("pos-transactions", {"items": [LINE, None, 7, []]}, ["type:items"]),
    ("pos-transactions", {"items": [{}, 7]}, ["type:items", *(f"missing:items.{n}" for n in LINE)]),
    ("pos-transactions", {"items": [LINE, LINE]}, ["rule:line_number"]),
    ("pos-transactions", {"items": [LINE, {**LINE, "line_number": Raw("1.0")}]}, ["rule:line_number"]),
    ("pos-transactions", {"items": [LINE, {**LINE, "line_number": 9}]}, []),
    ("pos-transactions", {"items": [LINE, {**LINE, "line_number": "1"}]}, ["type:items.line_number"]),
    ("pos-transactions", {"items": [{**LINE, "line_number": 0}]}, ["range:items.line_number"]),
    ("pos-transactions", {"items": [{**LINE, "quantity": 0}]}, ["range:items.quantity"]),
    ("pos-transactions", {"items": [{**LINE, "quantity": True}]}, ["type:items.quantity"]),
    ("pos-transactions", {"items": [{**LINE, "unit_price": -1}]}, ["range:items.unit_price"]),
    ("pos-transactions", {"items": [{**LINE, "unit_price": ""}]}, ["type:items.unit_price"]),
    ("pos-transactions", {"items": [{**LINE, "discount_amount": False}]}, ["type:items.discount_amount"]),
    ("cinema-sales", {"event_type": "cancellation"}, []),
    ("cinema-sales", {"channel": "store"}, ["enum:channel"]),
    ("cinema-sales", {"screening_time": ""}, ["missing:screening_time"]),
    ("cinema-sales", {"screening_time": "1900-01-01T00:00:00Z"}, []),
    ("cinema-sales", {"screening_time": "1900-01-01T00:00:00+00:01"}, ["range:screening_time"]),
    ("cinema-sales", {"screening_time": "2100-12-31T23:59:59.9999999Z"}, []),
    ("cinema-sales", {"screening_time": "2100-12-31T23:59:59-00:01"}, ["range:screening_time"]),
    ("cinema-sales", {"seats_booked": -1, "ticket_type": None}, ["missing:ticket_type", "range:seats_booked"]),
    ("inventory-updates", {"supplier_id": ...}, ["missing:supplier_id"]),
    ("inventory-updates", {"supplier_id": " "}, ["missing:supplier_id"]),
    ("inventory-updates", {"event_type": "shrinkage", "supplier_id": ...}, []),
    ("inventory-updates", {"event_type": "shrinkage", "supplier_id": 5}, ["type:supplier_id"]),
    ("inventory-updates", {"event_type": "shrinkage", "quantity": 0}, ["range:quantity"]),
    ("inventory-updates", {"event_type": "adjustment", "quantity": 0}, []),
    ("inventory-updates", {"event_type": "adjustment", "quantity": -5}, []),
    ("inventory-updates", {"event_type": "?", "quantity": -5, "supplier_id": 5}, ["enum:event_type"]),
    ("inventory-updates", {"event_type": "?", "quantity": "5"}, ["enum:event_type", "type:quantity"]),
    ("inventory-updates", {"quality_status": ""}, ["enum:quality_status"]),
    ("inventory-updates", {"shipment_date": ""}, ["type:shipment_date"]),
    ("inventory-updates", {"shipment_date": "2026-02-30"}, ["type:shipment_date"]),
    ("inventory-updates", {"shipment_date": "20260228"}, ["type:shipment_date"]),
    ("inventory-updates", {"shipment_date": "1899-12-31"}, ["range:shipment_date"]),
    ("inventory-updates", {"shipment_date": "2101-01-01"}, ["range:shipment_date"]),
    ("inventory-updates", {"shipment_date": "0000-02-29"}, ["range:shipment_date"]),
    ("inventory-updates", {"shipment_date": "1900-01-01", "expected_delivery": "2100-12-31"}, []),
    ("customer-reviews", {"title_id": ...}, ["rule:one_subject"]),
    ("customer-reviews", {"product_id": "P1"}, ["rule:one_subject"]),
    ("customer-reviews", {"product_id": "P1", "title_id": None}, []),
    ("customer-reviews", {"product_id": 5}, ["rule:one_subject", "type:product_id"]),
    ("customer-reviews", {"rating": 6}, ["range:rating"]),
    ("customer-reviews", {"rating": Raw("5.0"), "helpful_votes": Raw("0e9")}, []),
    ("customer-reviews", {"rating": 4.5}, ["type:rating"]),
    ("customer-reviews", {"verified_purchase": "true"}, ["type:verified_purchase"]),
    ("customer-profiles", {"preferred_genres": ["a", None]}, ["type:preferred_genres"]),
    ("customer-profiles", {"preferred_genres": None}, ["missing:preferred_genres"]),
    ("customer-profiles", {"preferred_genres": ["", "b"]}, []),
    ("customer-profiles", {"signup_date": " "}, ["missing:signup_date"]),
    ("customer-profiles", {"event_type": "?", "name": 7, "birth_date": 7}, ["enum:event_type"]),
    ("customer-profiles", {"event_type": "?", "customer_id": ...}, ["enum:event_type", "missing:customer_id"]),
    ("customer-profiles", {"event_type": "delete", "name": 7, "birth_date": "x"}, []),
    ("customer-profiles", {"event_type": "delete", "customer_id": 7}, ["type:customer_id"]),
]


@pytest.mark.parametrize(("topic", "changes", "expected"), PARSE_CASES)
def test_all_broken_rules_are_reported_in_order(topic: str, changes: dict[str, Any], expected: list[str]) -> None:
    assert reasons(topic, event(topic, **changes)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00+00:00"),
        ("2026-03-02t12:00:00z", "2026-03-02T12:00:00+00:00"),
        ("2026-03-02T12:00:00.1234569Z", "2026-03-02T12:00:00.123456+00:00"),
        ("2026-03-02T12:00:00-00:00", "2026-03-02T12:00:00+00:00"),
        ("2026-03-02T12:00:00+14:00", "2026-03-01T22:00:00+00:00"),
        ("2026-03-02T12:00:00.5-23:59", "2026-03-03T11:59:00.5+00:00"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("1999-12-31T23:59:59.9999999Z", "range"),
        ("2000-01-01T00:00:00+00:01", "range"),
        ("0001-01-01T00:00:00+00:01", "range"),
        ("0000-02-29T00:00:00Z", "range"),
        ("9999-12-31T23:59:59-00:01", "range"),
        ("", "missing"),
        (" ", "missing"),
        ("2026-03-02", "type"),
        ("2026-03-02T12:00:00", "type"),
        ("2026-03-02T12:00:00+0100", "type"),
        ("2026-03-02T12:00:00+01", "type"),
        ("2026-03-02 12:00:00Z", "type"),
        ("2026-03-02T24:00:00Z", "type"),
        ("2026-03-02T23:59:60Z", "type"),
        ("2026-02-30T12:00:00Z", "type"),
        ("2026-03-02T12:00:00+24:00", "type"),
        ("2026-03-02T12:00:00.Z", "type"),
        ("2026-03-02T12:00:00,5Z", "type"),
        ("2026-03-02T12:00:00Z\n", "type"),
        ("2026-03-02T1２:00:00Z", "type"),  # noqa: RUF001
    ],
)
def test_event_times_are_rfc_3339_and_converted_to_utc(text: str, expected: str) -> None:
    if expected in ("type", "range", "missing"):
        assert reasons("customer-reviews", event("customer-reviews", event_time=text)) == [f"{expected}:event_time"]
    else:
        found = cell("customer-reviews", "event_time", event_time=text)
        assert found == microseconds(datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    ("token", "kept"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0e5", 0),
        ("12.5", 125_000),
        ("1e2", 1_000_000),
        ("125E-1", 125_000),
        ("99999999999999.9999", 999_999_999_999_999_999),
        ("99999999999999.99994999", 999_999_999_999_999_999),
        ("0.00005", 1),
        ("0.00004999999999999999999999999999999999999999", 0),
        ("1e-999999999999999999999999", 0),
        ("0e999999999999999999999999", 0),
        ("1.23455", 12346),
        ("2.67500", 26750),
        ("99999999999999.99995", None),
        ("100000000000000", None),
        ("1e999999999999999999999999", None),
        ("-0.0000000001", None),
        ("-1", None),
    ],
)
def test_money_is_computed_exactly_from_its_text(token: str, kept: int | None) -> None:
    for written in (Raw(token), token):
        changes = {"unit_cost": written}
        if kept is None:
            assert reasons("inventory-updates", event("inventory-updates", **changes)) == ["range:unit_cost"]
        else:
            assert cell("inventory-updates", "unit_cost", **changes) == kept


@pytest.mark.parametrize("text", [" 1", "1 ", "01", "1.", ".5", "+1", "1_0", "NaN", "1,5", "0x1", "\uff11", "EUR 1"])
def test_a_text_that_is_no_json_number_is_no_money(text: str) -> None:
    assert reasons("inventory-updates", event("inventory-updates", unit_cost=text)) == ["type:unit_cost"]


def test_ties_are_rounded_away_from_zero() -> None:
    assert money(b"-1.00005") == (-10_001, -10_001, -10_000)
    assert money(b"1.00005") == (10_001, 10_000, 10_001)


def test_money_rounded_is_set_only_where_digits_are_lost() -> None:
    for token, rounded in (("1.23450000", False), ("1.23454", True), ("1e-9", True), ("1", False)):
        row = outcome("inventory-updates", event("inventory-updates", unit_cost=Raw(token)))
        assert not isinstance(row, Rejected)
        assert row[-1] is rounded


@pytest.mark.parametrize(
    ("token", "kept"),
    [
        (b"3.0", 3),
        (b"3e0", 3),
        (b"30e-1", 3),
        (b"-0", 0),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808.000", -(2**63)),
        (b"9223372036854775808", None),
        (b"1e19", None),
        (b"3.5", None),
        (b"1e-1", None),
        (b"1e999999999999999999999999", None),
        (b"0e999999999999999999999999", 0),
        (b"1" + b"0" * 100_000 + b"e-100000", 1),
        ("3", None),
        (True, None),
    ],
)
def test_integers_are_whole_numbers_inside_int64(token: Any, kept: int | None) -> None:
    assert whole(token) == kept


def test_extra_fields_are_kept_as_written() -> None:
    changes = {
        "Channel": Raw('{"b":1.50,"a":[null,1E2]}'),
        "note": None,
        "items": [LINE, {**LINE, "line_number": 2, "x": "é"}],
    }
    row = outcome("pos-transactions", event("pos-transactions", **changes))
    assert not isinstance(row, Rejected)
    assert row[-2] == '{"Channel":{"b":1.50,"a":[null,1E2]},"note":null,"items":[{},{"x":"é"}]}'


def test_a_delete_keeps_its_four_fields_and_nothing_else() -> None:
    row = outcome("customer-profiles", event("customer-profiles", event_type="delete", shoe_size=42))
    assert not isinstance(row, Rejected)
    assert [one for one in row if one is not None] == ["E1", row[1], "delete", "C1", False]


def test_currency_and_first_event_time_are_settings() -> None:
    rules = ParseRules("JPY", datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC))
    found = outcome("pos-transactions", event("pos-transactions"), rules)
    assert isinstance(found, Rejected)
    assert found.reasons == ("enum:currency", "range:event_time")


def test_the_detail_names_the_field_the_expected_and_the_found_value() -> None:
    found = outcome("pos-transactions", event("pos-transactions", items=[LINE, {**LINE, "quantity": "3"}]))
    assert isinstance(found, Rejected)
    assert 'items[1].quantity: expected an integer of at least 1, found "3"' in found.detail
    many = outcome("pos-transactions", event("pos-transactions", items=[{}] * 10_000, event_id="x" * 10_000))
    assert isinstance(many, Rejected)
    assert len(many.detail) < 2000
    assert many.event_id == "x" * 10_000


def test_a_reject_has_the_event_id_where_the_object_names_it_once() -> None:
    for value, expected in (
        (b'{"event_id":"E1","event_id":"E2"}', None),
        (b'{"event_id":"E1","a":1,"a":2}', "E1"),
        (b'{"event_id":"E1"', None),
        (b'{"event_id":5}', None),
        (b'{"event_id":"E1"}', "E1"),
    ):
        found = outcome("pos-transactions", value)
        assert isinstance(found, Rejected)
        assert found.event_id == expected
