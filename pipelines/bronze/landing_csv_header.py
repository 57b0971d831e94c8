"""The header row of a CSV landing file: its separator and the names of the fields, or why it is no header (R28)."""

import csv
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipelines.bronze.landing_errors import UnreadableFileError
from pipelines.contracts.fields import WHITE_SPACE
from pipelines.contracts.registry import CONTRACTS

SEPARATORS = (",", ";", "\t")
_MAX_NAMES, _MAX_NAME = 12, 40  # of what was found, in a message


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """The fields of a CSV file in the order of its columns."""

    separator: str
    names: tuple[str, ...]


def required_fields(topic: str) -> tuple[str, ...]:
    """The fields that every event type of the topic requires; of master data, those that a delete has (R11)."""
    contract = CONTRACTS[topic]
    deletes = contract.is_master and "delete" in contract.event_types
    return tuple(
        field.name
        for field in contract.fields
        if all(field.is_required(kind) for kind in contract.event_types if not (deletes and kind == "delete"))
        and (not deletes or field.name in contract.delete_fields)
    )


def read_header(topic: str, next_line: Callable[[], str]) -> HeaderRow:
    """The header in the first line with content. `next_line` gives an empty text at the end of the file.

    Raises UnreadableFileError where it is no header: it misses a required field, or a name is empty, repeated or has
    blanks around it.
    """
    while line := next_line():
        if line.strip(WHITE_SPACE + ",;"):
            break
    required = required_fields(topic)
    wanted = f"expected a header row that names {', '.join(required)}"
    if not line:
        raise UnreadableFileError(f"{wanted}; found no row")
    readings = [(separator, _split(line, separator)) for separator in SEPARATORS]
    separator, names = max(readings, key=lambda reading: _count_known(reading[1], required))
    missing = [name for name in required if name not in names]
    if missing:
        hint = _hint(names, line, required)
        raise UnreadableFileError(f"{wanted}; found {_shown(names)}. {hint}")
    blank = [name for name in names if name != name.strip()]
    if blank:
        raise UnreadableFileError(f"expected names without blanks around them, found {_shown(blank)} in the header")
    if not all(names):
        raise UnreadableFileError(f"expected a name for each column, found none for column {names.index('') + 1}")
    if len(set(names)) != len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise UnreadableFileError(f"expected each name once in the header, found {_shown(twice)} twice")
    return HeaderRow(separator, tuple(names))


def _split(line: str, separator: str) -> list[str]:
    with suppress(csv.Error, StopIteration):
        return next(csv.reader([line], delimiter=separator, strict=True))
    return [line.rstrip("\r\n")]


def _count_known(names: Sequence[str], required: Sequence[str]) -> int:
    return len({name.strip() for name in names}.intersection(required))


def _hint(names: Sequence[str], line: str, required: Sequence[str]) -> str:
    known = {name.strip() for name in names}
    if line.lower().startswith("sep="):
        return "Remove the line sep=, which only Excel reads"
    if known.issuperset(required):
        return "Remove the blanks around the names"
    if {name.lower() for name in known}.issuperset(required):
        return "Write the names in lower case"
    for mark in "|:^~":
        if {name.strip() for name in line.split(mark)}.issuperset(required):
            return f"The names are separated by {mark!r}: expected a comma, a semicolon or a tab"
    absent = [name for name in required if name not in known]
    return f"Missing: {', '.join(absent)}" if known.intersection(required) else "The first row must name the columns"


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:_MAX_NAME]) for name in names[:_MAX_NAMES])
    return shown + (f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else "")
