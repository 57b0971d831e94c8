"""Layouts: the ways in which producers write a topic's events, learned from samples, each turned into one regex.

A value that matches a layout's pattern is a valid event as far as a regular expression can tell, and holds nothing that
could be read in two ways: known names, each once, in one order and in their own case; texts without escapes; numbers
short enough for their column, in plain digits; times and dates whose digits are in range. What it cannot tell (30
February, a time before the first one allowed, a line_number twice, exactly one subject) fast_path checks.
"""

import re
from dataclasses import dataclass, replace
from threading import Lock

import polars as pl

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import Contract
from pipelines.parsing.json_text import read
from pipelines.parsing.values import ParseRules

_PLAIN = r'[^"\\\x00-\x1f]'
_TEXT = f'"{_PLAIN}*"'
_FILLED_TEXT = rf'"[^"\\\x00-\x20]{_PLAIN}*"'  # begins with what is no white space
# Escapes of anything but control characters and halves of surrogate pairs; _WORD begins with what is no white space
_WORD = (
    r"\\u(?:[1-9abcefABCEF][0-9a-fA-F]{3}|0[1-9a-fA-F][0-9a-fA-F]{2}|[dD][0-7][0-9a-fA-F]{2})"
    r'|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\["\\/]'
)
_ANY = rf"(?:{_PLAIN}|{_WORD}|\\u00[2-9a-fA-F][0-9a-fA-F]|\\[nrt])*"
_ESCAPED_TEXT = f'"{_ANY}"'
_FILLED_ESCAPED_TEXT = rf'"(?:[^"\\\x00-\x20]|{_WORD}){_ANY}"'
_AMOUNT = r"(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,4})?"
# With more decimals than are kept, as sums of floats have: short enough for a double and so far from a tie that a
# double rounds as the text does; and it does round, for the last digit is not 0
_LONG_AMOUNT = (
    r"(?:0|[1-9][0-9]{0,7})\.[0-9]{4}"
    r"(?:[1-46-9]|4[1-8]|5[1-9]|[0-36-9][0-9]{0,11}[1-9]|4[0-8][0-9]{0,10}[1-9]|5[1-9][0-9]{0,10}[1-9])"
)
# Years 1900-2099: within the range of any date
_DAY = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf'"{_DAY}T{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_CLOCK})"'
# Of an extra field: numbers that DuckDB writes again as they came, for it keeps no token
_SCALAR = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,8}}(?:\.[0-9]{{0,2}}[1-9])?|true|false)"
_EXTRA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}").fullmatch
_MAX_EXTRAS = 16
_MAX_VALUES = 20  # an integer range up to this size is written out
_MAX_LAYOUTS = 16  # kept for a topic


@dataclass(frozen=True, slots=True)
class Layout:
    """How one producer writes: the order of members, of the record and of a line of `items`, and the spacing."""

    names: tuple[str, ...]
    line_names: tuple[str, ...]  # empty where the topic has no lines
    colon: str
    comma: str
    escapes: bool  # whether texts may hold any; a pattern without them is faster
    rounds: bool = False  # whether amounts may have more decimals than are kept

    def extras(self, contract: Contract) -> tuple[str, ...]:
        """Names that the contract does not know, in their order."""
        known = {field.name for field in contract.fields}
        return tuple(name for name in self.names if name not in known)

    def covers(self, other: "Layout", contract: Contract) -> bool:
        """Whether every value of the other layout matches this one, too, so that the other is not needed."""
        same = (self.colon, self.comma, self.extras(contract)) == (other.colon, other.comma, other.extras(contract))
        lines = _is_subsequence(other.line_names, self.line_names)
        same = same and (self.escapes or not other.escapes) and self.rounds == other.rounds
        return same and self.names[0] == other.names[0] and _is_subsequence(other.names, self.names) and lines

    def merged(self, other: "Layout", contract: Contract) -> "Layout | None":
        """One layout that covers both; None where they differ in more than optional members."""
        same = (self.colon, self.comma, self.rounds, self.extras(contract)) == (
            other.colon, other.comma, other.rounds, other.extras(contract)
        )  # fmt: skip
        names, line_names = _merged(self.names, other.names), _merged(self.line_names, other.line_names)
        if not same or self.names[0] != other.names[0] or names is None or line_names is None:
            return None
        return replace(self, names=names, line_names=line_names, escapes=self.escapes or other.escapes)


def _merged(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names of both, in an order that keeps the order of each; None where there is none."""
    merged: list[str] = []
    rest = list(some)
    for name in others:
        if name in rest:
            upto = rest.index(name) + 1
            merged += rest[:upto]
            del rest[:upto]
        elif name in merged:
            return None
        else:
            merged.append(name)
    return (*merged, *rest)


def _is_subsequence(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    rest = iter(whole)
    return all(name in rest for name in part)


def derive(contract: Contract, value: str) -> Layout | None:
    """The layout that a valid event may have: whether it does, only the pattern says. None for names that are odd."""
    tree = read(value.encode())
    names = tuple(name for name, _ in tree)
    known = {field.name for field in contract.fields}
    extras = [name for name in names if name not in known]
    # DuckDB matches names whatever their case: none may differ from another in case alone
    unlike = len({name.lower() for name in (*known, *extras)}) == len(known) + len(extras)
    if len(set(names)) != len(names) or not unlike or len(extras) > _MAX_EXTRAS or not all(map(_EXTRA_NAME, extras)):
        return None
    of_lines = {field.name for field in contract.fields if field.kind == "lines"}
    lines = [line for name, part in tree if name in of_lines for line in part]
    line_names = max((tuple(name for name, _ in line) for line in lines), key=len, default=())
    start = f'{{"{names[0]}":'
    colon, comma = (": ", ", ") if value.startswith(f"{start} ") else (":", ",")  # json.dumps, or without spaces
    return Layout(names, line_names, colon, comma, "\\" in value)


def pattern(contract: Contract, rules: ParseRules, layout: Layout) -> str | None:
    """The regex (Rust's flavour) that matches whole values of this layout; None where it cannot be proved plain."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for event_type in contract.event_types:
        is_delete = contract.is_master and event_type == "delete"
        needs = tuple((field.is_required(event_type), field.is_bounded(event_type)) for field in contract.fields)
        groups.setdefault((is_delete, needs), []).append(event_type)
    written = [_event(contract, rules, layout, tuple(event_types)) for event_types in groups.values()]
    choices = [text for text in written if text is not None]
    return rf"\A(?:{'|'.join(choices)})\z" if choices else None


def _event(contract: Contract, rules: ParseRules, layout: Layout, event_types: tuple[str, ...]) -> str | None:
    """An event of types that have the same rules; None where the layout lacks what they require."""
    event_type = event_types[0]
    by_name = {field.name: field for field in contract.fields}
    names: tuple[str, ...] = layout.names
    if contract.is_master and event_type == "delete":
        names = tuple(name for name in names if name in contract.delete_fields)
        needed = set(contract.delete_fields)
    else:
        needed = {field.name for field in contract.fields if field.is_required(event_type)}
    if not needed <= set(names):
        return None
    members: list[tuple[str, str, bool]] = []
    for name in names:
        field = by_name.get(name)
        if field is None:
            members.append((name, _SCALAR, True))
            continue
        text = _lines(field, rules, layout) if field.kind == "lines" else _value(field, event_types, rules, layout)
        if text is None:
            return None
        members.append((name, text, name in needed))
    return _object(members, layout)


def _lines(field: Field, rules: ParseRules, layout: Layout) -> str | None:
    by_name = {line.name: line for line in field.lines}
    needed = {line.name for line in field.lines if line.is_required(None)}
    names = layout.line_names
    if not needed <= set(names) <= set(by_name) or len(set(names)) != len(names):
        return None
    members: list[tuple[str, str, bool]] = []
    for name in names:
        text = _value(by_name[name], (), rules, layout)
        if text is None:
            return None
        members.append((name, text, name in needed))
    line = _object(members, layout)
    return rf"\[{line}(?:{layout.comma}{line})*\]"


def _object(members: list[tuple[str, str, bool]], layout: Layout) -> str:
    """`members`: name, the regex of its value, is it required. The first is always there, though it may be null."""
    text = r"\{"
    for position, (name, value, required) in enumerate(members):
        may_be_null = value if required else f"(?:null|{value})"
        member = f'{layout.comma if position else ""}"{name}"{layout.colon}{may_be_null}'
        text += member if required or not position else f"(?:{member})?"
    return text + r"\}"


def _value(field: Field, event_types: tuple[str, ...], rules: ParseRules, layout: Layout) -> str | None:
    """The regex of a value that is not null; None where no regex is known. A line's field knows no event type."""
    event_type = event_types[0] if event_types else None
    low, high = (field.minimum, field.maximum) if field.is_bounded(event_type) else (None, None)
    any_text = _ESCAPED_TEXT if layout.escapes else _TEXT
    if field.kind == "text":
        filled = _FILLED_ESCAPED_TEXT if layout.escapes else _FILLED_TEXT
        return filled if field.is_required(event_type) else any_text
    if field.kind == "texts":
        return rf"\[(?:{any_text}(?:{layout.comma}{any_text})*)?\]"
    if field.kind == "enum":
        values = event_types if field.name == "event_type" else field.values or (rules.currency,)
        plain = all(re.fullmatch(f"{_PLAIN}+", value) for value in values)
        return f'"(?:{"|".join(map(re.escape, values))})"' if plain else None
    if field.kind == "integer":
        return _integer(low, high)
    if field.kind == "money":
        amount = f"(?:{_AMOUNT}|{_LONG_AMOUNT})" if layout.rounds else _AMOUNT
        return f'(?:{amount}|"{amount}")' if low == 0 and high is None else None
    if field.kind == "time":
        return _TIME
    if field.kind == "date":
        return f'"{_DAY}"'
    return "(?:true|false)" if field.kind == "boolean" else None


def _integer(low: int | None, high: int | None) -> str | None:
    if high is not None:
        if low is None or low < 0 or high - low >= _MAX_VALUES:
            return None
        return f"(?:{'|'.join(map(str, range(low, high + 1)))})"
    positive = "[1-9][0-9]{0,17}"
    if low is None:
        return f"(?:0|-?{positive})"
    return {0: f"(?:0|{positive})", 1: positive}.get(low)


@dataclass(slots=True)
class CompiledLayout:
    """A layout in use: its pattern and how many records it let through."""

    layout: Layout
    pattern: str
    extras: tuple[str, ...]
    unrounded: str | None  # of a layout that rounds: the pattern of those of its records that need no rounding
    hits: int = 0

    def matches(self, value: str) -> bool:
        """Whether a value is of this layout. Patterns are for Rust's engine, so it decides."""
        return bool(pl.Series([value]).str.contains(self.pattern).item())


def _screen(contract: Contract, rules: ParseRules, layout: Layout) -> CompiledLayout | None:
    text = pattern(contract, rules, layout)
    unrounded = pattern(contract, rules, replace(layout, rounds=False)) if layout.rounds else None
    return None if text is None else CompiledLayout(layout, text, layout.extras(contract), unrounded)


class Layouts:
    """What this process has learned of how its topics are written. It changes how fast records are read, never how.

    Threads may share one.
    """

    def __init__(self) -> None:
        self._screens: dict[tuple[str, str], list[CompiledLayout]] = {}
        self._lock = Lock()

    def screens(self, contract: Contract, rules: ParseRules) -> list[CompiledLayout]:
        """Screens of the topic, the most used first, but those that round after all that do not."""
        with self._lock:
            known = self._screens.get((contract.topic, rules.currency), [])
            return sorted(known, key=lambda screen: (screen.layout.rounds, -screen.hits))

    def learn(self, contract: Contract, rules: ParseRules, value: str) -> CompiledLayout | None:
        """A screen for a valid event that no known one matches, kept from now on; None where no pattern does.

        It covers what it can of the known ones, which are forgotten; where there are too many, the least used one is.
        """
        derived = derive(contract, value)
        if derived is None:
            return None
        known = self.screens(contract, rules)
        for layout in (derived, replace(derived, rounds=True)):
            wide = layout
            for old in known:
                wide = old.layout.merged(wide, contract) or wide
            for choice in dict.fromkeys((wide, layout)):
                new = _screen(contract, rules, choice)
                if new is not None and new.matches(value):
                    self._keep(contract, rules, new)
                    return new
        return None

    def _keep(self, contract: Contract, rules: ParseRules, screen: CompiledLayout) -> None:
        with self._lock:
            known = self._screens.setdefault((contract.topic, rules.currency), [])
            known[:] = [old for old in known if not screen.layout.covers(old.layout, contract)]
            if len(known) >= _MAX_LAYOUTS:
                known.remove(min(known, key=lambda old: old.hits))
            known.append(screen)

    def note(self, screen: CompiledLayout, hits: int) -> None:
        """Count records that a screen let through; what is long ago counts less and less."""
        with self._lock:
            screen.hits = screen.hits * 7 // 8 + hits
