"""The exact path: reads one value at a time (R1-R13). It is slow and defines the result of both paths.

Decisions where the rules leave room:

- If `event_type` is absent or wrong, these are not checked: fields that only some event types require, bounds that
  apply to only some of them and, in master data, fields that a delete does not have.
- `rule:one_subject` counts members that are present and not null, of any type.
- `rule:line_number` compares integers, including those out of range.
- An element of the lines that is no object is `type:`.
- A blank value is `missing:` where a text, enumeration, time or date is required. Money written as "" is `type:`.
- A time or date of year 0000, and an event_time that is not in the years 0001-9999 in UTC, is `range:`.
- `money_rounded` is set where the stored amount differs from the written one.
- The event_id of a rejected record is readable if the object names it once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipelines.contracts.fields import WHITE_SPACE, Field
from pipelines.contracts.registry import Contract
from pipelines.parsing.json_text import InvalidJsonError, Json, compact, event_id_in
from pipelines.parsing.json_text import read as read_json
from pipelines.parsing.values import ParseRules, Reader, WrongValueError, reader, whole

_SPACE = WHITE_SPACE.encode()
_MAX_DETAILS = 8
_MAX_SHOWN = 60

# One cell per contract field, in order, as `values.py` reads them (lines: a list of such rows), then _extra and
# money_rounded.
Row: TypeAlias = list[Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is not a valid event: all rules it breaks, sorted. `detail` is text for people."""

    event_id: str | None  # where readable
    reasons: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class _Step:
    """How to read one member. Without `read` the member is ignored and its cell is null."""

    name: str
    required: bool
    read: Reader | None


class ExactReader:
    """Reads the values of one topic, one by one, in one thread."""

    def __init__(self, contract: Contract, rules: ParseRules) -> None:
        self._contract = contract
        self._rules = rules
        self._names = frozenset(field.name for field in contract.fields)
        self._lines = contract.line_field
        self._line_names = frozenset(line.name for line in self._lines.lines) if self._lines else frozenset()
        self._line_steps = [self._step(line, None) for line in self._lines.lines] if self._lines else []
        self._steps = {kind: self._steps_of(kind) for kind in (*contract.event_types, None)}
        self._rounded = False
        self._broken: list[tuple[str, str]] = []  # reason and detail, of the current record

    def read(self, value: bytes | None) -> Row | Rejected:
        """The event in a value, or the reasons why there is none."""
        if value is None or not value.strip(_SPACE):
            found = "null" if value is None else "white space only" if value else "nothing"
            return Rejected(None, ("empty_value",), f"expected a JSON object, found {found}")
        try:
            tree = read_json(value)
        except InvalidJsonError as error:
            return Rejected(None, ("invalid_json",), f"expected JSON: {error}")
        if type(tree) is not tuple:
            return Rejected(None, ("not_an_object",), f"expected a JSON object, found {_shown(tree)}")
        return self._read_object(tree)

    def _read_object(self, tree: tuple[tuple[str, Json], ...]) -> Row | Rejected:
        record: dict[str, Json] = dict(tree)
        repeated = [("", tree)] if len(record) != len(tree) else []
        if self._lines is not None and type(items := record.get(self._lines.name)) is list:
            lines = [dict(line) if type(line) is tuple else None for line in items]
            for position, (line, pairs) in enumerate(zip(lines, items, strict=True)):
                if line is not None and len(line) != len(pairs):
                    repeated.append((f"{self._lines.name}[{position}].", pairs))
            record[self._lines.name] = lines
        if repeated:
            return _repeated_names(event_id_in(tree), repeated)

        event_type = record.get("event_type")
        if type(event_type) is not str or event_type not in self._steps:
            event_type = None
        self._broken = []
        self._rounded = False
        row = self._cells(record, self._steps[event_type], "", "")
        if self._contract.one_of:
            self._check_one_of(record)
        if self._broken:
            return self._rejected(event_id_in(tree))
        extra = None if self._is_delete(event_type) else self._extra(record)
        row += (extra, self._rounded)
        return row

    def _is_delete(self, event_type: str | None) -> bool:
        return self._contract.is_master and event_type == "delete"

    def _steps_of(self, event_type: str | None) -> list[_Step]:
        contract = self._contract
        only = contract.delete_fields if contract.is_master and event_type in ("delete", None) else self._names
        return [
            self._step(field, event_type) if field.name in only else _Step(field.name, False, None)
            for field in contract.fields
        ]

    def _step(self, field: Field, event_type: str | None) -> _Step:
        if event_type is None and field.required_for:
            return _Step(field.name, False, None)
        required = field.is_required(event_type)
        if field.kind == "lines":
            return _Step(field.name, required, self._read_lines)
        return _Step(field.name, required, reader(field, event_type, required, self._rules, self._note_rounding))

    def _note_rounding(self) -> None:
        self._rounded = True

    def _cells(self, record: Mapping[str, Json], steps: Sequence[_Step], path: str, location: str) -> Row:
        """One cell per step. Broken rules go to `_broken`, with `path` in the reason and `location` in the detail."""
        cells: Row = []
        for step in steps:
            raw = record.get(step.name)
            if raw is None or step.read is None:
                if step.required:
                    self._broken.append(
                        (f"missing:{path}{step.name}", f"{location}{step.name}: expected, found nothing")
                    )
                cells.append(None)
                continue
            try:
                cells.append(step.read(raw))
            except WrongValueError as wrong:
                detail = f"{location}{step.name}: expected {wrong.expected}, found {_shown(raw)}"
                self._broken.append((f"{wrong.rule}:{path}{step.name}", detail))
        return cells

    def _read_lines(self, raw: Json) -> list[Row]:
        if type(raw) is not list:
            raise WrongValueError("type", "a list of lines")
        if not raw:
            raise WrongValueError("range", "at least one line")
        name = "items" if self._lines is None else self._lines.name
        rows = []
        for position, line in enumerate(raw):
            if line is None:
                self._broken.append((f"type:{name}", f"{name}[{position}]: expected an object, found something else"))
            else:
                rows.append(self._cells(line, self._line_steps, f"{name}.", f"{name}[{position}]."))
        numbers = [number for line in raw if line and (number := whole(line.get("line_number"))) is not None]
        if len(set(numbers)) != len(numbers):
            self._broken.append(("rule:line_number", f"{name}: expected each line_number once, found one twice"))
        return rows

    def _check_one_of(self, record: Mapping[str, Json]) -> None:
        names = self._contract.one_of
        found = [name for name in names if record.get(name) is not None]
        if len(found) != 1:
            detail = f"expected exactly one of {', '.join(names)}, found {', '.join(found) or 'none'}"
            self._broken.append(("rule:one_subject", detail))

    def _rejected(self, event_id: str | None) -> Rejected:
        reasons = tuple(sorted({reason for reason, _ in self._broken}))
        details = [detail for _, detail in self._broken]
        if len(details) > _MAX_DETAILS:
            details[_MAX_DETAILS:] = [f"and {len(details) - _MAX_DETAILS} more"]
        return Rejected(event_id, reasons, "; ".join(details))

    def _extra(self, record: Mapping[str, Json]) -> str | None:
        """JSON text of the members that the contract does not have; those of lines in a list under the lines' name."""
        extra = [] if self._names.issuperset(record) else [m for m in record.items() if m[0] not in self._names]
        if self._lines is not None:
            lines = record[self._lines.name]
            if not all(map(self._line_names.issuperset, lines)):
                unknown = [tuple(m for m in line.items() if m[0] not in self._line_names) for line in lines]
                extra.append((self._lines.name, unknown))
        return compact(tuple(extra)) if extra else None


def _repeated_names(event_id: str | None, objects: Iterable[tuple[str, tuple[tuple[str, Json], ...]]]) -> Rejected:
    """`objects`: the location and members of each object that has a name twice."""
    found = []
    for location, members in objects:
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                found.append(f"{location}{_shown(name)}")
            seen.add(name)
    detail = f"expected each name once in an object, found twice: {', '.join(found[:_MAX_DETAILS])}"
    return Rejected(event_id, ("duplicate_field",), detail)


def _shown(raw: Json) -> str:
    """A value in a message, shortened to a readable length."""
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, tuple | dict):
        return "an object"
    if isinstance(raw, str | bytes) and len(raw) > _MAX_SHOWN:
        return compact(raw[:_MAX_SHOWN]) + "…"
    return compact(raw)
