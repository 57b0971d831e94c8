import json
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator, validators

from pipelines.contracts.documentation import json_schema, rows
from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.parsing.parse import ParseRules, parse_exactly
from tests.reference.adversary_values import any_value
from tests.reference.samples import encode, event

# Numbers keep all their digits, as the contract reads them.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer",
    lambda _, value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, Decimal) and value.is_finite() and value % 1 == 0))
    ),
)
_Exact = validators.extend(Draft202012Validator, type_checker=_TYPES)


def _beyond_json_schema(topic: str, reason: str) -> bool:
    """Whether JSON Schema cannot express the rule; see the docstring of `documentation.py`."""
    if reason in ("invalid_json", "duplicate_field", "rule:line_number"):
        return True
    rule, _, path = reason.partition(":")
    kind = CONTRACTS[topic].field(path.split(".")[0]).kind
    if "." in path:
        kind = next(line.kind for line in CONTRACTS[topic].field("items").lines if line.name == path.split(".")[1])
    return kind in ("time", "date") or (kind == "money" and rule == "range")


def _validator(topic: str) -> Any:
    return _Exact(json_schema(CONTRACTS[topic], "EUR"))


def _verdict(topic: str, value: bytes | None) -> list[str]:
    """The contract's reasons to reject the value; [] if it accepts it."""
    found = parse_exactly(
        CONTRACTS[topic], pa.array([value], pa.binary()), pl.Series([0], dtype=pl.UInt32), ParseRules()
    )
    return list(found.rejects["reasons"][0]) if found.rejects.height else []


@pytest.mark.parametrize("topic", TOPICS)
def test_each_schema_is_valid_and_accepts_a_valid_event(topic: str) -> None:
    schema = json_schema(CONTRACTS[topic], "EUR")
    Draft202012Validator.check_schema(schema)
    assert _validator(topic).is_valid(json.loads(encode(event(topic))))
    assert not _validator(topic).is_valid({})


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if CONTRACTS[topic].is_master])
def test_a_delete_needs_its_key_only_and_may_carry_anything(topic: str) -> None:
    key = CONTRACTS[topic].key_field
    deleted = {"event_id": "E", "event_time": "2026-01-01T00:00:00Z", "event_type": "delete", key: "K", "name": 7}
    assert _validator(topic).is_valid(deleted)
    assert not _validator(topic).is_valid({**deleted, "event_type": "upsert"})


def test_schemas_and_contracts_agree_on_adversarial_values() -> None:
    validators_by_topic = {topic: _validator(topic) for topic in TOPICS}
    accepted = 0
    for seed in range(3_000):
        topic, value = any_value(seed)
        reasons = _verdict(topic, value)
        try:
            instance = json.loads(value or b"", parse_float=Decimal)
        except (ValueError, RecursionError, ArithmeticError):
            continue
        try:
            valid = validators_by_topic[topic].is_valid(instance)
        except ArithmeticError:  # NaN
            continue
        if not reasons:
            accepted += 1
            assert valid, (seed, value)
        elif valid:
            assert all(_beyond_json_schema(topic, reason) for reason in reasons), (seed, value, reasons)
    assert accepted > 500


def test_the_table_describes_every_field_once() -> None:
    for contract in CONTRACTS.values():
        found = rows(contract, "EUR")
        assert len({row.path for row in found}) == len(found) == sum(1 + len(f.lines) for f in contract.fields)
        assert all(row.description and row.needed and row.read_as for row in found)
    by_path = {row.path: row for row in rows(CONTRACTS["inventory-updates"], "EUR")}
    assert by_path["supplier_id"].needed == "for delivery"
    assert by_path["quantity"].allowed == "at least 1; any for adjustment"
    assert {row.path: row.allowed for row in rows(CONTRACTS["pos-transactions"], "JPY")}["currency"] == "JPY"
    subject = {row.path: row.needed for row in rows(CONTRACTS["customer-reviews"], "EUR")}["title_id"]
    assert subject == "exactly one of product_id, title_id"
