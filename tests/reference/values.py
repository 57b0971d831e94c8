"""Convert a JSON value to a contract type, or report what is wrong with it. Source: R4-R8."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal

from .rfc8259 import BLANK, Exact, Number, Value, exact

INT64 = range(-(2**63), 2**63)
CENTS = Decimal("0.0001")
MONEY_LIMIT = Decimal(10) ** 14
YEARS = range(1900, 2101)

DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)
DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class BadValueError(Exception):
    """The value is invalid; `args[0]` is `missing`, `type`, `range` or `enum`."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Money as silver stores it, and whether rounding changed it."""

    value: Decimal
    rounded: bool


def is_blank(text: str) -> bool:
    return text.strip(BLANK) == ""


def text_of(value: Value, *, optional: bool) -> str:
    """Return a string. A required one must contain more than white space."""
    if not isinstance(value, str):
        raise BadValueError("type")
    if not optional and is_blank(value):
        raise BadValueError("missing")
    return value


def boolean_of(value: Value) -> bool:
    if not isinstance(value, bool):
        raise BadValueError("type")
    return value


def texts_of(value: Value) -> list[str]:
    """Return a list of strings. The list and its strings may be empty."""
    if not isinstance(value, list):
        raise BadValueError("type")
    texts = [one for one in value if isinstance(one, str)]
    if len(texts) != len(value):
        raise BadValueError("type")
    return texts


def integer_of(value: Value, least: int | None, most: int | None) -> int:
    """Return a number with an integral value in int64: 3, 3.0 and 3e0, but not 3.5, "3" or true."""
    number = exact(value.text) if isinstance(value, Number) else None
    if number is None or number.exponent < 0 or len(number.digits) + number.exponent > 19:
        raise BadValueError("type")
    size = int(number.digits + "0" * number.exponent)
    result = -size if number.negative else size
    if result not in INT64:
        raise BadValueError("type")
    if (least is not None and result < least) or (most is not None and result > most):
        raise BadValueError("range")
    return result


def money_of(value: Value, least: int | None) -> Amount:
    """Return money from a number, or a string in JSON number grammar. Bounds apply before rounding, the limit after."""
    text = value.text if isinstance(value, Number) else value
    number = exact(text) if isinstance(text, str) else None
    if number is None:
        raise BadValueError("type")
    if least == 0 and number.negative:
        raise BadValueError("range")
    if len(number.digits) + number.exponent > 15:
        raise BadValueError("range")
    amount = _rounded(number)
    if abs(amount) >= MONEY_LIMIT:
        raise BadValueError("range")
    return Amount(amount, rounded=number.exponent < -4)


def _rounded(number: Exact) -> Decimal:
    """Round to 4 decimals, half away from zero; zero has no minus sign."""
    if len(number.digits) + number.exponent < -10:
        return Decimal("0.0000")
    context = Context(prec=len(number.digits) + 40, rounding=ROUND_HALF_UP)
    digits = tuple(int(digit) for digit in number.digits)
    amount = Decimal((int(number.negative), digits, number.exponent)).quantize(CENTS, context=context)
    return abs(amount) if amount.is_zero() else amount


def product(quantity: int, price: Decimal) -> Decimal:
    """Return the exact product. The default context would round to 28 digits."""
    return Context(prec=100).multiply(Decimal(quantity), price)


def date_of(value: Value, *, optional: bool) -> date:
    """Return a date `YYYY-MM-DD` from 1900 to 2100."""
    found = DATE.fullmatch(text_of(value, optional=optional))
    if not found:
        raise BadValueError("type")
    year, month, day = (int(part) for part in found.groups())
    if not is_day(year, month, day):
        raise BadValueError("type")
    if year not in YEARS:
        raise BadValueError("range")
    return date(year, month, day)


def is_day(year: int, month: int, day: int) -> bool:
    """Return whether the day exists. Year 0 is a leap year, as in RFC 3339."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12:
        return False
    return 1 <= day <= DAYS_OF_MONTH[month - 1] + (leap and month == 2)


def time_of(value: Value, is_in_range: Callable[[datetime], bool]) -> datetime:
    """Return an RFC 3339 time in UTC, truncated to microseconds. A time that datetime cannot represent is `range`."""
    found = TIME.fullmatch(text_of(value, optional=False))
    if not found:
        raise BadValueError("type")
    day_text, hour, minute, second, fraction, _, sign, offset_hour, offset_minute = found.groups(default="")
    year, month, day = (int(part) for part in day_text.split("-"))
    if not is_day(year, month, day) or int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise BadValueError("type")
    if sign and (int(offset_hour) > 23 or int(offset_minute) > 59):
        raise BadValueError("type")
    offset = timedelta(hours=int(offset_hour or 0), minutes=int(offset_minute or 0)) * (-1 if sign == "-" else 1)
    micros = int((fraction + "000000")[:6])
    try:
        local = datetime(year, month, day, int(hour), int(minute), int(second), micros, tzinfo=UTC)
        moment = local - offset
    except (ValueError, OverflowError):  # year 0, or outside the calendar in UTC
        raise BadValueError("range") from None
    if not is_in_range(moment):
        raise BadValueError("range")
    return moment
