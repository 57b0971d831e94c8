"""Reads JSON text strictly (RFC 8259, R2), and keeps number tokens, member order and repeated names.

A value is one of: `None`, `bool`, `str`, `bytes` (a number: its token), `list` (an array), `tuple` of (name, value)
pairs (an object). The type identifies the kind of value, and no number becomes a float. The scanner is that of CPython,
in C, with hooks in C, so a record costs no call of a Python function. Time and memory are linear in the length.
"""

import json
import re
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from json.encoder import encode_basestring
from typing import Any, NoReturn, TypeAlias

from pipelines.contracts.fields import MAX_DEPTH, WHITE_SPACE

Json: TypeAlias = Any  # None | bool | str | bytes | list[Json] | tuple[tuple[str, Json], ...]

_SPACE = re.compile(f"[{WHITE_SPACE}]*+")
# A string, closed or not, is one token: brackets in it do not count. Possessive quantifiers avoid quadratic time.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|([\[{]++)|([\]}]++)', re.DOTALL)
# One escape at a time, so that `\\ud800` is a backslash and text. The group is an unpaired surrogate.
_ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])|\\.", re.DOTALL)
_INT_DIGITS = 600  # Python's limit on int(text) is never below 640 digits
_WIDE = 10**18  # represents any larger exponent: no value in memory has so many digits


class InvalidJsonError(ValueError):
    """The value is no JSON text. The message says why and where."""


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJsonError(f"{name} is no JSON number")


_decoder = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=str.encode, parse_int=str.encode, parse_constant=_refuse_constant
)
_scan: Callable[[str, int], tuple[Json, int]] = vars(_decoder)["scan_once"]


def read(value: bytes) -> Json:
    """The JSON value in these bytes. Raises InvalidJsonError."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"not UTF-8: byte {error.start} is 0x{value[error.start]:02x}") from None
    _check_depth(text)
    try:
        tree, end = _scan(text, _end_of_space(text, 0))
    except StopIteration as stop:
        raise InvalidJsonError(f"expected a value at character {stop.value}") from None
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"{error.msg} at character {error.pos}") from None
    end = _end_of_space(text, end)
    if end != len(text):
        raise InvalidJsonError(f"expected nothing after the value, found more at character {end}")
    if "\\ud" in text or "\\uD" in text:
        for escape in _ESCAPE.finditer(text):
            if escape.group(1):
                raise InvalidJsonError(f"half a surrogate pair at character {escape.start()}")
    return tree


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _check_depth(text: str) -> None:
    """Raise for more than MAX_DEPTH levels, counted up to the first error in the text, where the scanner stops."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _BRACKETS.finditer(text):
        opened, closed = token.groups()
        if opened:
            depth += len(opened)
            if depth > MAX_DEPTH:
                raise InvalidJsonError(f"nested deeper than {MAX_DEPTH} levels at character {token.start()}")
        elif closed:
            depth -= len(closed)


def compact(value: Json) -> str:
    """JSON text without white space: members in their order, numbers as they were written."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return "[" + ",".join([compact(element) for element in value]) + "]"
    if isinstance(value, tuple):
        return "{" + ",".join([f"{encode_basestring(name)}:{compact(member)}" for name, member in value]) + "}"
    return "null" if value is None else "true" if value else "false"


def _split(token: bytes) -> tuple[bool, str, str, int]:
    """Parts of a number token: whether it is negative, digits without zeros at either end, text of the exponent, shift.

    The value is ±digits * 10 ** (int(exponent) + shift); digits are "" for zero.
    """
    mantissa, _, exponent = token.decode().lower().partition("e")
    negative = mantissa.startswith("-")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    kept = digits.rstrip("0")
    return negative, kept.lstrip("0"), exponent, len(digits) - len(kept) - len(fraction)


def decimal_parts(token: bytes) -> tuple[bool, str, int]:
    """Parts of a number token: whether it is negative, digits, exponent. Its value is ±digits * 10 ** exponent.

    Digits have no zero at either end and are "" for zero. An exponent beyond ±10 ** 18 is inexact.
    """
    negative, digits, exponent, shift = _split(token)
    if not digits:
        return negative, "", 0
    sign = -1 if exponent.startswith("-") else 1
    power = exponent.lstrip("+-").lstrip("0")
    size = int(power or "0") if len(power) <= len(str(_WIDE)) else _WIDE * 10
    return negative, digits, sign * size + shift


def _exact_number(token: bytes) -> tuple[str, str, str]:
    """("#", signed digits, decimal exponent): equal exactly for equal numbers of any size."""
    negative, digits, exponent, shift = _split(token)
    if not digits:
        return "#", "", ""
    sign = "-" if negative else ""
    if len(exponent) <= _INT_DIGITS:
        return "#", sign + digits, str(int(exponent or "0") + shift)
    context = Context(prec=len(exponent) + 20, Emax=MAX_EMAX, Emin=MIN_EMIN)
    return "#", sign + digits, str(context.add(Decimal(exponent), Decimal(shift)))


def _canonical(value: Json) -> object:
    if isinstance(value, bytes):
        return _exact_number(value)
    if isinstance(value, list):
        return "[", *[_canonical(element) for element in value]
    if isinstance(value, tuple):
        members = [(name, _canonical(member)) for name, member in value if member is not None]
        members.sort(key=lambda member: member[0])
        return "{", *members
    return value


def canonical(value: bytes) -> object:
    """A hashable that is equal for two JSON values exactly when they are identical (R22). Raises InvalidJsonError.

    Ignores the order of members and white space. Compares numbers by exact value and strings by code point. A null
    member equals an absent one; nulls in a list count. Members with the same name, which can occur inside extra fields,
    are compared in their order.
    """
    return _canonical(read(value))


def event_id_in(tree: Json) -> str | None:
    """The `event_id` of a value that `read` returned; None where it is no string or the object names it twice."""
    if type(tree) is not tuple:
        return None
    ids = [member for name, member in tree if name == "event_id"]
    return ids[0] if len(ids) == 1 and type(ids[0]) is str else None


def event_id_of(value: bytes | None) -> str | None:
    """The `event_id` of a record's value; None where it cannot be read, as `event_id_in` says."""
    try:
        return event_id_in(read(value or b""))
    except InvalidJsonError:
        return None
