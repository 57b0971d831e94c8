"""Durations in settings and options: `10m`, `48h`, `1d`, `90s`, `500ms`, `1h30m`."""

import re
from datetime import timedelta

EXPECTED = "a duration such as 500ms, 90s, 10m, 48h, 1d or 1h30m"

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART = re.compile(r"(\d+)(d|h|ms|m|s)")
_WHOLE = re.compile(r"(?:\d+(?:d|h|ms|m|s))+", re.ASCII)


def parse_duration(text: object) -> timedelta:
    """Parse a duration. `0` needs no unit; a timedelta is returned as is. Raises ValueError with the expected form."""
    if isinstance(text, timedelta):
        if text < timedelta(0):
            raise ValueError(EXPECTED)
        return text
    written = str(text).strip() if isinstance(text, str | int) and not isinstance(text, bool) else ""
    if written == "0":
        return timedelta(0)
    if not _WHOLE.fullmatch(written):
        raise ValueError(EXPECTED)
    try:
        return sum((int(count) * _UNITS[unit] for count, unit in _PART.findall(written)), timedelta(0))
    except OverflowError:
        raise ValueError(f"{EXPECTED}, of less than 2,700,000 years") from None


def show_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as the same duration, to the millisecond."""
    rest, parts = duration, ""
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"
