"""Contracts as rows of a table and as JSON Schemas (2020-12).

A JSON Schema accepts everything that the contract accepts. It also accepts some values that the contract rejects,
because JSON Schema cannot express that a line number is unique in its event, that a date exists, or how large a money
string is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipelines.contracts.contract import Contract
from pipelines.contracts.fields import FIRST_DATE, HOUSE_CURRENCY, LAST_DATE, MONEY_LIMIT, UPSERT, WHITE_SPACE, Field

Schema = dict[str, Any]

_NOT_BLANK = f"[^{WHITE_SPACE}]".encode("unicode_escape").decode("ascii")
_TIME = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_NOT_NEGATIVE = r"^((0|[1-9]\d*)(\.\d+)?|-0(\.0+)?)([eE][+-]?\d+)?$"  # a number written as text
_INT64 = 2**63

_READ_AS = {
    "text": "text",
    "enum": "one of a list",
    "integer": "whole number",
    "money": "amount, 4 decimals",
    "time": "time with offset",
    "date": "date",
    "boolean": "true or false",
    "texts": "list of texts",
    "lines": "list of lines",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a contract in words. `path` is written as in rule names: `items.quantity`."""

    path: str
    read_as: str
    needed: str
    allowed: str
    description: str


def rows(contract: Contract, currency: str) -> list[Row]:
    """The contract's fields in order. The fields of a line follow their list."""
    documented = []
    for field in contract.fields:
        documented.append(_row(field, contract, field.name, currency))
        documented += [_row(line, contract, f"{field.name}.{line.name}", currency) for line in field.lines]
    return documented


def _row(field: Field, contract: Contract, path: str, currency: str) -> Row:
    needed = "may be absent" if field.optional else "always"
    if field.required_for:
        needed = f"for {_or(field.required_for)}"
    if field.name in contract.one_of:
        needed = f"exactly one of {', '.join(contract.one_of)}"
    return Row(path, _READ_AS[field.kind], needed, _allowed(field, currency), field.description)


def _allowed(field: Field, currency: str) -> str:
    if field.kind == "enum":
        return ", ".join(_values(field, currency))
    if field.kind == "date":
        return f"{FIRST_DATE.year} to {LAST_DATE.year}"
    if field.years:
        return f"{field.years[0]} to {field.years[1]}"
    if field.minimum is not None and field.maximum is not None:
        bounds = f"{field.minimum} to {field.maximum}"
    else:
        bounds = f"at least {field.minimum}" if field.minimum is not None else ""
    return f"{bounds}; any for {_or(field.signed_for)}" if field.signed_for else bounds


def _or(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))


def _values(field: Field, currency: str) -> tuple[str, ...]:
    return (currency,) if field.name == HOUSE_CURRENCY else field.values


def json_schema(contract: Contract, currency: str) -> Schema:
    """The contract as a JSON Schema. Other members are allowed: they are drift, not an error."""
    deletes = "delete" in contract.event_types
    always = [field for field in contract.fields if not deletes or field.name in contract.delete_fields]
    rest = [field for field in contract.fields if field not in always]
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:animeverse:contract:{contract.topic}",
        "title": contract.topic,
        "description": " ".join((contract.schema.__doc__ or "").split()),
        **_object(always, currency),
    }
    if deletes:
        schema |= {"if": _is("delete"), "else": _object(rest, currency)}
    conditions = [
        {"if": _is(kind), "then": {"properties": {field.name: _value(field, currency)}, "required": [field.name]}}
        for field in contract.fields
        for kind in sorted(field.required_for)
        if not deletes
    ]
    conditions += [
        {"if": _is(kind), "else": {"properties": {field.name: {"minimum": field.minimum}}}}
        for field in contract.fields
        for kind in sorted(field.signed_for)
    ]
    if conditions:
        schema["allOf"] = conditions
    if contract.one_of:
        schema["oneOf"] = [{"properties": {name: {"type": "string"}}, "required": [name]} for name in contract.one_of]
    return schema


def _is(event_type: str) -> Schema:
    return {"properties": {"event_type": {"const": event_type}}, "required": ["event_type"]}


def _object(fields: Iterable[Field], currency: str) -> Schema:
    """The members. A field that only some event types need may be null or absent in the others."""
    properties: Schema = {}
    required = []
    for field in fields:
        nullable = field.optional or (bool(field.required_for) and field.required_for != set(UPSERT))
        value = _value(field, currency)
        properties[field.name] = {"description": field.description, **(_or_null(value) if nullable else value)}
        if not nullable:
            required.append(field.name)
    return {"type": "object", "properties": properties, "required": required}


def _or_null(value: Schema) -> Schema:
    if "enum" in value:
        return {**value, "type": [value["type"], "null"], "enum": [*value["enum"], None]}
    kind = value["type"]
    return {**value, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def _value(field: Field, currency: str) -> Schema:
    """The schema of a field's value that is neither absent nor null."""
    match field.kind:
        case "text":
            return {"type": "string"} if field.optional else {"type": "string", "pattern": _NOT_BLANK}
        case "enum":
            return {"type": "string", "enum": list(_values(field, currency))}
        case "integer":
            least = -_INT64 if field.minimum is None or field.signed_for else field.minimum
            return {
                "type": "integer",
                "minimum": least,
                "maximum": _INT64 - 1 if field.maximum is None else field.maximum,
            }
        case "money":
            limit = int(MONEY_LIMIT)
            return {"type": ["number", "string"], "minimum": 0, "exclusiveMaximum": limit, "pattern": _NOT_NEGATIVE}
        case "time":
            return {"type": "string", "format": "date-time", "pattern": _TIME}
        case "date":
            return {"type": "string", "format": "date", "pattern": _DATE}
        case "boolean":
            return {"type": "boolean"}
        case "texts":
            return {"type": "array", "items": {"type": "string"}}
        case "lines":
            return {"type": "array", "minItems": 1, "items": _object(field.lines, currency)}
