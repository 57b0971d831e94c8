"""Reads JSON values as field values, by the kind of field, exactly (R4-R7).

Money is an integer of 1/10000, a time is microseconds since 1970, a date is days since 1970: the numbers that Arrow
columns store. Money and integers are computed from the text of the number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from pipelines.contracts.fields import FIRST_DATE, LAST_DATE, MONEY_LIMIT, MONEY_SCALE, WHITE_SPACE, Field
from pipelines.parsing.json_text import Json, decimal_parts

_UNIT = 10**MONEY_SCALE
_LIMIT = int(MONEY_LIMIT)
_INT64 = range(-(2**63), 2**63)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
).fullmatch
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?").fullmatch
_SIMPLE_MONEY = re.compile(rb"([0-9]{1,14})(?:\.([0-9]{1,4}))?").fullmatch
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS_OF_400_YEARS = 146_097
_DAY_MICROSECONDS = 86_400_000_000

Reader: TypeAlias = Callable[[Json], Any]


@dataclass(frozen=True, slots=True)
class ParseRules:
    """The settings that are part of the contracts."""

    currency: str = "EUR"
    min_event_time: datetime = datetime(2000, 1, 1, tzinfo=UTC)


class WrongValueError(ValueError):
    """A value breaks a rule of its field: `missing`, `type`, `range` or `enum`. `expected` describes valid values."""

    def __init__(self, rule: str, expected: str) -> None:
        super().__init__(rule, expected)
        self.rule = rule
        self.expected = expected


class Money(NamedTuple):
    """An amount in 1/10000, rounded half away from zero. The written amount is between `floor` and `ceiling`."""

    scaled: int
    floor: int
    ceiling: int


def whole(token: Json) -> int | None:
    """The integer of a number token, such as 3, 3.0 or 3e0; None for other numbers or values, or outside int64."""
    if type(token) is not bytes:
        return None
    if len(token) < 19 and token.isdigit():
        return int(token)
    negative, digits, exponent = decimal_parts(token)
    if exponent < 0 or len(digits) + exponent > 19:
        return None
    size = int(digits or "0") * 10**exponent
    value = -size if negative else size
    return value if value in _INT64 else None


def money(token: bytes) -> Money | None:
    """The amount of a number token; None where its size is 10 ** 14 or more after rounding."""
    negative, digits, exponent = decimal_parts(token)
    if len(digits) + exponent > len(str(_LIMIT)):
        return None
    places = exponent + MONEY_SCALE
    if places >= 0:
        size = int(digits or "0") * 10**places
        money = Money(size, size, size)
    else:
        low = int(digits[:places] or "0")  # the digits cut off are not zero, because the last digit is not
        up = -places <= len(digits) and digits[places] >= "5"
        money = Money(low + up, low, low + 1)
    if money.scaled >= _LIMIT * _UNIT:
        return None
    return Money(-money.scaled, -money.ceiling, -money.floor) if negative else money


@lru_cache(maxsize=4096)
def _day(text: str) -> int | None:
    """Days since 1970 of YYYY-MM-DD; None for a day that does not exist. Year 0000 is the leap year before 0001."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    try:
        if year:
            return date(year, month, day).toordinal() - _EPOCH_DAY
        return date(400, month, day).toordinal() - _EPOCH_DAY - _DAYS_OF_400_YEARS
    except ValueError:
        return None


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 of a time with a zone."""
    utc = instant.astimezone(UTC)
    seconds = (utc.hour * 60 + utc.minute) * 60 + utc.second
    return (utc.toordinal() - _EPOCH_DAY) * _DAY_MICROSECONDS + seconds * 1_000_000 + utc.microsecond


def _bounds_text(low: int | None, high: int | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {high}"
    return f" of at least {low}" if high is None else f" from {low} to {high}"


def _text_reader(required: bool) -> Reader:
    def read(raw: Json) -> str:
        if type(raw) is not str:
            raise WrongValueError("type", "text")
        if required and not raw.strip(WHITE_SPACE):
            raise WrongValueError("missing", "text")
        return raw

    return read


def _enum_reader(values: tuple[str, ...], required: bool) -> Reader:
    allowed = frozenset(values)
    expected = "one of " + ", ".join(values)

    def read(raw: Json) -> str:
        if type(raw) is not str:
            raise WrongValueError("type", expected)
        if raw not in allowed:
            raise WrongValueError("missing" if required and not raw.strip(WHITE_SPACE) else "enum", expected)
        return raw

    return read


def _integer_reader(low: int | None, high: int | None) -> Reader:
    expected = "an integer" + _bounds_text(low, high)

    def read(raw: Json) -> int:
        value = whole(raw)
        if value is None:
            raise WrongValueError("type", expected)
        if (low is not None and value < low) or (high is not None and value > high):
            raise WrongValueError("range", expected)
        return value

    return read


def _money_reader(low: int | None, high: int | None, note_rounding: Callable[[], None]) -> Reader:
    expected = "an amount" + _bounds_text(low, high)
    from_zero = low == 0 and high is None

    def read(raw: Json) -> int:
        if type(raw) is str and _NUMBER(raw):
            raw = raw.encode()
        if type(raw) is not bytes:
            raise WrongValueError("type", expected)
        if from_zero and (simple := _SIMPLE_MONEY(raw)):  # nearly all amounts; creates no Money
            units, fraction = simple.groups()
            return int(units + fraction.ljust(MONEY_SCALE, b"0")) if fraction else int(units) * _UNIT
        amount = money(raw)
        if amount is None:
            raise WrongValueError("range", f"{expected} and below 10^14")
        if (low is not None and amount.floor < low * _UNIT) or (high is not None and amount.ceiling > high * _UNIT):
            raise WrongValueError("range", expected)
        if amount.floor != amount.ceiling:
            note_rounding()
        return amount.scaled

    return read


def _time_reader(first: datetime, last: datetime, required: bool) -> Reader:
    low, high = microseconds(first), microseconds(last)
    expected = "a time like 2026-11-14T18:30:00.250Z or with an offset like +01:00"

    def read(raw: Json) -> int:
        found = _TIME(raw) if type(raw) is str else None
        day = _day(found[1]) if found else None
        if found is None or day is None:
            blank = required and type(raw) is str and not raw.strip(WHITE_SPACE)
            raise WrongValueError("missing" if blank else "type", expected)
        _, hour, minute, second, fraction, sign, hours, minutes = found.groups()
        seconds = (int(hour) * 60 + int(minute)) * 60 + int(second)
        if sign:
            offset = (int(hours) * 60 + int(minutes)) * 60
            seconds += offset if sign == "-" else -offset
        value = day * _DAY_MICROSECONDS + seconds * 1_000_000
        if fraction:
            value += int(fraction[:6].ljust(6, "0"))
        if not low <= value <= high:
            raise WrongValueError("range", f"a time from {first.isoformat()} to {last.isoformat()}")
        return value

    return read


def _date_reader(required: bool) -> Reader:
    low, high = FIRST_DATE.toordinal() - _EPOCH_DAY, LAST_DATE.toordinal() - _EPOCH_DAY

    def read(raw: Json) -> int:
        day = _day(raw) if type(raw) is str and _DATE(raw) else None
        if day is None:
            blank = required and type(raw) is str and not raw.strip(WHITE_SPACE)
            raise WrongValueError("missing" if blank else "type", "a date like 2026-11-14")
        if not low <= day <= high:
            raise WrongValueError("range", f"a date from {FIRST_DATE} to {LAST_DATE}")
        return day

    return read


def _boolean(raw: Json) -> bool:
    if type(raw) is not bool:
        raise WrongValueError("type", "true or false")
    return raw


def _texts(raw: Json) -> list[str]:
    if type(raw) is not list or any(type(text) is not str for text in raw):
        raise WrongValueError("type", "a list of texts")
    return raw


def reader(
    field: Field, event_type: str | None, required: bool, rules: ParseRules, note_rounding: Callable[[], None]
) -> Reader:
    """The function that reads a present, non-null member of an event of this type; it raises WrongValueError.

    A required text, enumeration, time or date that is blank is `missing`. A field of kind `lines` has no reader here.
    """
    low, high = (field.minimum, field.maximum) if field.is_bounded(event_type) else (None, None)
    if field.kind == "text":
        return _text_reader(required)
    if field.kind == "enum":
        return _enum_reader(field.values or (rules.currency,), required)
    if field.kind == "integer":
        return _integer_reader(low, high)
    if field.kind == "money":
        return _money_reader(low, high, note_rounding)
    if field.kind == "time":
        end = datetime.max.replace(tzinfo=UTC)
        if field.years is None:
            return _time_reader(rules.min_event_time, end, required)
        first, last = field.years
        return _time_reader(datetime(first, 1, 1, tzinfo=UTC), end.replace(year=last), required)
    if field.kind == "date":
        return _date_reader(required)
    return _boolean if field.kind == "boolean" else _texts
