"""Corrupt one record: invalid JSON, one violated contract rule, a conflicting copy, or an unknown field."""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import Contract

JsonObject = dict[str, Any]


class CorruptRecord(NamedTuple):
    """A record's new bytes and the one rule (R13) that quarantines it; None if it stays valid."""

    value: bytes | None
    reason: str | None


_JSON_FAULTS: tuple[tuple[str, Callable[[bytes], bytes | None]], ...] = (
    ("invalid_json", lambda value: value[: len(value) * 2 // 3]),
    ("invalid_json", lambda value: value[:-1]),
    ("invalid_json", lambda value: value[:-1] + b",}"),
    ("invalid_json", lambda value: value[:-1] + b',"checksum":NaN}'),
    ("invalid_json", lambda value: value.replace(b'"', b"'")),
    ("invalid_json", lambda value: b"\xef\xbb\xbf" + value),
    ("invalid_json", lambda value: value[:-1] + b',"note":"\xff\xfe"}'),
    ("invalid_json", lambda value: value + value),
    ("invalid_json", lambda value: value[:-1] + b',"retries":007}'),
    ("invalid_json", lambda value: value[:-1] + b',"note":"line\nbreak"}'),
    ("empty_value", lambda value: b""),
    ("empty_value", lambda value: None),
    ("empty_value", lambda value: b" \t"),
    ("not_an_object", lambda value: b"[" + value + b"]"),
    ("not_an_object", lambda value: json.dumps(value.decode()).encode()),
    ("not_an_object", lambda value: b"null"),
    ("duplicate_field", lambda value: value[:-1] + b',"event_type":"sale"}'),
)


def break_json(value: bytes, chance: float) -> CorruptRecord:
    """Return the record as a crashed writer, a wrong encoder or a faulty script leaves it."""
    reason, corrupt = _JSON_FAULTS[int(chance * len(_JSON_FAULTS))]
    return CorruptRecord(corrupt(value), reason)


_WRONG_TYPE: dict[str, tuple[Any, ...]] = {
    "text": (4711, {"id": 1}),
    "enum": (7, ["x"]),
    "integer": ("3", 2.5, True),
    "money": ("12,50", True, "free"),
    "time": ("2026-02-30T10:00:00Z", "2026-01-15 10:00:00", 1767225600),
    "date": ("15.11.2026", "2026-02-30", 20260101),
    "boolean": ("yes", 1),
    "texts": ("Action", [1, None]),
    "lines": ("none", {}),
}


class ContractViolation(NamedTuple):
    """Members to set in an event, or in its first line, to violate one rule. A member set to None is removed."""

    rule: str
    members: JsonObject
    line_field: str | None = None  # the field whose first line has the members


def _field_violations(field: Field, event_type: str | None, path: str) -> list[tuple[str, Any]]:
    """Return the rules that this field alone can violate, each with a value that violates it."""
    found: list[tuple[str, Any]] = [(f"type:{path}", wrong) for wrong in _WRONG_TYPE[field.kind]]
    if field.is_required(event_type):
        found.append((f"missing:{path}", None))
        if field.kind == "text":
            found.append((f"missing:{path}", "  "))
    if field.kind == "enum":
        found.append((f"enum:{path}", "JPY" if field.name == "currency" else "unheard_of"))
    if field.kind == "integer" and field.is_bounded(event_type):
        if field.minimum is not None:
            found.append((f"range:{path}", field.minimum - 1))
        if field.maximum is not None:
            found.append((f"range:{path}", field.maximum + 1))
    if field.kind == "money":
        found.append((f"range:{path}", -4.99))
    if field.name == "event_time":
        found.append((f"range:{path}", "1999-12-31T23:59:59Z"))
    if field.kind == "lines":
        found.append((f"range:{path}", []))
    return found


def contract_violations(contract: Contract, event: JsonObject) -> list[ContractViolation]:
    """Return all changes to this event that violate exactly one rule."""
    event_type = event["event_type"]
    names = contract.delete_fields if event_type == "delete" else tuple(field.name for field in contract.fields)
    found: list[ContractViolation] = []
    for field in (contract.field(name) for name in names if name not in contract.one_of):
        found += [
            ContractViolation(rule, {field.name: wrong})
            for rule, wrong in _field_violations(field, event_type, field.name)
        ]
        for line in field.lines:
            wrongs = _field_violations(line, event_type, f"{field.name}.{line.name}")
            found += [ContractViolation(rule, {line.name: wrong}, field.name) for rule, wrong in wrongs]
        if field.lines:
            found.append(
                ContractViolation("rule:line_number", {field.name: [*event[field.name], event[field.name][0]]})
            )
    if contract.one_of:
        found.append(ContractViolation("rule:one_subject", dict.fromkeys(contract.one_of, "X-1")))
        found.append(ContractViolation("rule:one_subject", dict.fromkeys(contract.one_of)))
    return found


def violate_contract(contract: Contract, value: bytes, chance: float) -> CorruptRecord:
    """Return the event with exactly one rule of its contract violated."""
    event = json.loads(value)
    rules = contract_violations(contract, event)
    chosen = rules[int(chance * len(rules))]
    target = event[chosen.line_field][0] if chosen.line_field else event
    for name, wrong in chosen.members.items():
        target[name] = wrong
        if wrong is None:
            del target[name]
    return CorruptRecord(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(), chosen.rule)


_UNKNOWN_FIELDS = {
    "pos-transactions": ('"loyalty_points":12', '"gift_wrap":true'),
    "cinema-sales": ('"seat_labels":["F7","F8"]', '"app_version":"5.2.0"'),
    "inventory-updates": ('"batch_code":"L2207"', '"pallet":{"id":"PA-9","level":2}'),
    "customer-reviews": ('"language":"de"', '"images":["1.webp"]'),
    "customer-profiles": ('"phone":"+49 30 5550100"', '"favourite_studio":"Kumo Animation"'),
    "product-catalog": ('"weight_grams":340', '"ean":"4006381333931"'),
    "anime-schedule": ('"subtitled":true', '"distributor":"Polyband"'),
}


def add_unknown_field(topic: str, value: bytes, chance: float) -> bytes:
    """Return the event with a field that the contract does not have, as a newer producer would send it."""
    added = _UNKNOWN_FIELDS[topic][int(chance * 2)]
    return value[:-1] + f",{added}}}".encode()


_CONFLICTING_CHANGES: tuple[tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...] = (
    (re.compile(rb'("payment_method":)"[^"]*"'), lambda found: found[1] + b'"voucher"'),
    (re.compile(rb'("quantity":)(-?\d+)'), lambda found: found[1] + b"%d" % (int(found[2]) + 1)),
    (re.compile(rb'("rating":)(\d)'), lambda found: found[1] + b"%d" % (6 - int(found[2]) if found[2] != b"3" else 2)),
    (re.compile(rb'("reorder_point":)(\d+)'), lambda found: found[1] + b"%d" % (int(found[2]) + 5)),
    (re.compile(rb'("runtime_minutes":)(\d+)'), lambda found: found[1] + b"%d" % (int(found[2]) + 1)),
    (
        re.compile(rb'("marketing_opt_in":)(true|false)'),
        lambda found: found[1] + (b"false" if found[2] == b"true" else b"true"),
    ),
)


def make_conflicting(value: bytes) -> bytes:
    """Return a copy with the same id and other content that still satisfies the contract."""
    for pattern, change in _CONFLICTING_CHANGES:
        other, changed = pattern.subn(change, value, count=1)
        if changed:
            return other
    return value[:-1] + b',"source":"resend"}'
