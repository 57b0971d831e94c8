"""A strict RFC 8259 parser, one character at a time, and the equality of R22. Source: R2, R4, R5, R22.

A number keeps its text and an object keeps all members in order, including repeated ones. The caller interprets them.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

DEEPEST = 128  # levels; the outermost value, if an object or array, is level 1
BLANK = " \t\r\n"
NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class NotJsonError(Exception):
    """The text is not JSON. The message contains reason and position."""


@dataclass(frozen=True, slots=True)
class Number:
    """The text of a number."""

    text: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object's members in order. A name may occur twice."""

    members: tuple[tuple[str, "Value"], ...]

    def names(self) -> list[str]:
        return [name for name, _ in self.members]

    def get(self, name: str) -> "Value":
        """Return the member's value; None if it is null or absent. Of repeated names, the last one counts."""
        return dict(self.members).get(name)


Value: TypeAlias = bool | Number | str | list["Value"] | Object | None


@dataclass(frozen=True, slots=True)
class Exact:
    """The value digits x 10**exponent, with a sign. `digits` has no zero at either end; zero itself is "0"."""

    negative: bool
    digits: str
    exponent: int


def parse(data: bytes) -> Value:
    """Return the value in `data`. Raises NotJsonError."""
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise NotJsonError(f"not UTF-8: {error.reason}") from None
    reader = _Reader(text)
    reader.blank()
    value = reader.value(1)
    reader.blank()
    if reader.at != len(text):
        raise NotJsonError(f"something follows the value at {reader.at}")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def blank(self) -> None:
        while self.peek() and self.peek() in BLANK:
            self.at += 1

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise NotJsonError(f"expected {token} at {self.at}")
        self.at += len(token)

    def value(self, level: int) -> Value:
        char = self.peek()
        if char and char in "{[" and level > DEEPEST:
            raise NotJsonError("nested too deep")
        match char:
            case "{":
                return self.object(level)
            case "[":
                return self.array(level)
            case '"':
                return self.string()
            case "t":
                self.expect("true")
                return True
            case "f":
                self.expect("false")
                return False
            case "n":
                self.expect("null")
                return None
        found = NUMBER.match(self.text, self.at)
        if not found:
            raise NotJsonError(f"no value at {self.at}")
        self.at = found.end()
        return Number(found.group())

    def array(self, level: int) -> list[Value]:
        self.expect("[")
        self.blank()
        values: list[Value] = []
        while self.peek() != "]":
            if values:
                self.expect(",")
                self.blank()
            values.append(self.value(level + 1))
            self.blank()
        self.expect("]")
        return values

    def object(self, level: int) -> Object:
        self.expect("{")
        self.blank()
        members: list[tuple[str, Value]] = []
        while self.peek() != "}":
            if members:
                self.expect(",")
                self.blank()
            name = self.string()
            self.blank()
            self.expect(":")
            self.blank()
            members.append((name, self.value(level + 1)))
            self.blank()
        self.expect("}")
        return Object(tuple(members))

    def string(self) -> str:
        self.expect('"')
        parts: list[str] = []
        while (char := self.peek()) != '"':
            if char < " ":  # a control character, or the end of the text ("")
                raise NotJsonError(f"a string ends or breaks at {self.at}")
            self.at += 1
            parts.append(self.escape() if char == "\\" else char)
        self.expect('"')
        return "".join(parts)

    def escape(self) -> str:
        char = self.peek()
        self.at += 1
        if char != "u":
            if char not in ESCAPES:
                raise NotJsonError(f"unknown escape at {self.at}")
            return ESCAPES[char]
        unit = self.unit()
        if 0xD800 <= unit < 0xDC00:  # a high surrogate must be followed by a low one
            self.expect("\\u")
            second = self.unit()
            if not 0xDC00 <= second < 0xE000:
                raise NotJsonError("a lone surrogate")
            return chr(0x10000 + (unit - 0xD800) * 0x400 + second - 0xDC00)
        if 0xDC00 <= unit < 0xE000:
            raise NotJsonError("a lone surrogate")
        return chr(unit)

    def unit(self) -> int:
        text = self.text[self.at : self.at + 4]
        if not re.fullmatch("[0-9a-fA-F]{4}", text):
            raise NotJsonError(f"\\u without four hex digits at {self.at}")
        self.at += 4
        return int(text, 16)


def exact(text: str) -> Exact | None:
    """Return the value of a number's text; None if it does not match the JSON number grammar."""
    found = NUMBER.fullmatch(text)
    if not found:
        return None
    sign, whole, fraction, exponent = found.groups(default="")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Exact(False, "0", 0)
    short = digits.rstrip("0")
    power = _long_int(exponent or "0") - len(fraction) + len(digits) - len(short)
    return Exact(sign == "-", short, power)


def _long_int(text: str) -> int:
    """Return int(text) without Python's limit on the number of digits."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    value = 0
    for start in range(0, len(digits), 4000):
        part = digits[start : start + 4000]
        value = value * 10 ** len(part) + int(part)
    return sign * value


def canonical(value: Value) -> object:
    """Return a form that is equal for two values exactly if they are equal by R22."""
    if value is None:
        return None
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, Number):
        return ("number", exact(value.text))
    if isinstance(value, str):
        return ("string", value)
    if isinstance(value, list):
        return ("list", tuple(canonical(one) for one in value))
    members = {name: canonical(one) for name, one in value.members}
    return ("object", frozenset((name, one) for name, one in members.items() if one is not None))
