"""The error message for settings that do not validate."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pipelines.config.sources import given_settings, unknown_setting

_ADDRESSES = ("log_url", "catalog_url", "lake_root")

EXPECTED = {
    "batch_size": "a whole number of at least 1",
    "partitions": "a whole number from 1 to 10,000",
    "topic_prefix": "letters, digits, dots, dashes or underscores, at most 100",
    "currency": "three capital letters such as EUR",
    "min_event_time": "a time with its zone, such as 2000-01-01T00:00:00Z",
    "drift": "evolve, freeze or quarantine",
}


def describe(error: ValidationError, arguments: Mapping[str, Any], fields: Sequence[str]) -> str:
    """One line per error: the name, the expected and the actual value, without secrets. `fields` are all settings."""
    given = given_settings(fields)
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        path = tuple(str(part) for part in fault["loc"])
        name, origin, found = path[-1], path[0], arguments.get(path[0])
        if path[0] not in arguments and path in given:
            origin, found = given[path].origin, given[path].value
        if fault["type"] == "extra_forbidden":
            lines.append(unknown_setting(origin, list(fields), name))
        elif path[0].endswith("_settings"):
            lines.append(f"{origin}: expected a text")
        else:
            expected = EXPECTED.get(name) or str(fault.get("ctx", {}).get("error", fault["msg"]))
            lines.append(f"{origin}: expected {expected}, found {_shown(found, is_address=name in _ADDRESSES)}")
    return "\n".join(lines)


def _shown(value: object, *, is_address: bool) -> str:
    """The value; of an address only its scheme, because anything after it may hold a password."""
    if value is None:
        return "nothing"
    text = str(value)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text)
    if scheme is not None:
        return f"'{scheme[0]}…', the rest is not shown"
    return "a text without a scheme, which is not shown" if is_address or "@" in text else repr(text)
