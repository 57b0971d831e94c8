"""The regular expression of a layout.

A value that matches it is a valid event as far as a regular expression can tell, and can be read in one way only: names
of the contract, each once, in one order and in the contract's case; texts without ambiguous escapes; numbers in plain
digits that fit their column; times and dates whose digits are in range. `fast_path.py` checks the rest: dates that do
not exist, times before the first one allowed, repeated line numbers, and the number of subjects.
"""

import re

from pipelines.contracts.fields import Field
from pipelines.contracts.registry import Contract
from pipelines.parsing.layout import Layout
from pipelines.parsing.values import ParseRules

_CHARACTER = r'[^"\\\x00-\x1f]'
_TEXT = f'"{_CHARACTER}*"'
_FILLED_TEXT = rf'"[^"\\\x00-\x20]{_CHARACTER}*"'  # does not begin with white space
# Escapes of anything but control characters, white space and unpaired surrogates.
_ESCAPE = (
    r"\\u(?:[1-9abcefABCEF][0-9a-fA-F]{3}|0[1-9a-fA-F][0-9a-fA-F]{2}|[dD][0-7][0-9a-fA-F]{2})"
    r'|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\["\\/]'
)
_CHARACTERS = rf"(?:{_CHARACTER}|{_ESCAPE}|\\u00[2-9a-fA-F][0-9a-fA-F]|\\[nrt])*"
_ESCAPED_TEXT = f'"{_CHARACTERS}"'
_FILLED_ESCAPED_TEXT = rf'"(?:[^"\\\x00-\x20]|{_ESCAPE}){_CHARACTERS}"'
_AMOUNT = r"(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,4})?"
# Amounts with more decimals than are stored, as sums of floats have. They are short enough for a double and far enough
# from a tie, so that a double rounds like the text. The last digit is not 0, so the amount is always rounded.
_LONG_AMOUNT = (
    r"(?:0|[1-9][0-9]{0,7})\.[0-9]{4}"
    r"(?:[1-46-9]|4[1-8]|5[1-9]|[0-36-9][0-9]{0,11}[1-9]|4[0-8][0-9]{0,10}[1-9]|5[1-9][0-9]{0,10}[1-9])"
)
# Years 1900-2099 are in the range of every date field.
_DAY = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf'"{_DAY}T{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_CLOCK})"'
# A value of an extra field. DuckDB does not keep number tokens: only numbers that it writes again unchanged.
_EXTRA_VALUE = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,8}}(?:\.[0-9]{{0,2}}[1-9])?|true|false)"
_MAX_VALUES = 20  # an integer range up to this size is a list of alternatives


def pattern(contract: Contract, rules: ParseRules, layout: Layout) -> str | None:
    """The regex, in Rust's syntax, that matches whole values of this layout; None where there is none for a field."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for event_type in contract.event_types:
        is_delete = contract.is_master and event_type == "delete"
        needs = tuple((field.is_required(event_type), field.is_bounded(event_type)) for field in contract.fields)
        groups.setdefault((is_delete, needs), []).append(event_type)
    patterns = [_event(contract, rules, layout, tuple(event_types)) for event_types in groups.values()]
    choices = [text for text in patterns if text is not None]
    return rf"\A(?:{'|'.join(choices)})\z" if choices else None


def _event(contract: Contract, rules: ParseRules, layout: Layout, event_types: tuple[str, ...]) -> str | None:
    """The regex of events whose types have the same rules; None where the layout lacks a required field."""
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
            members.append((name, _EXTRA_VALUE, True))
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
    """`members`: name, regex of the value, whether it is required. The first is always present, but may be null."""
    text = r"\{"
    for position, (name, value, required) in enumerate(members):
        may_be_null = value if required else f"(?:null|{value})"
        member = f'{layout.comma if position else ""}"{name}"{layout.colon}{may_be_null}'
        text += member if required or not position else f"(?:{member})?"
    return text + r"\}"


def _value(field: Field, event_types: tuple[str, ...], rules: ParseRules, layout: Layout) -> str | None:
    """The regex of a value that is not null; None where there is none. `event_types` is empty for a field of a line."""
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
        are_plain = all(re.fullmatch(f"{_CHARACTER}+", value) for value in values)
        return f'"(?:{"|".join(map(re.escape, values))})"' if are_plain else None
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
