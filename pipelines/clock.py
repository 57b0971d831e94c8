"""Clocks, and conversion of times to and from microseconds since the epoch (UTC), exact integers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def micros(duration: timedelta) -> int:
    """A duration in microseconds."""
    return duration // _MICROSECOND


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch. `moment` has a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(moment: int) -> datetime:
    """The time in UTC, clamped to FIRST and LAST (years 1 to 9999)."""
    if moment <= to_micros(FIRST):
        return FIRST
    if moment >= to_micros(LAST):
        return LAST
    return _EPOCH + timedelta(microseconds=moment)


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The system clock."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """The time as ISO 8601 in UTC. A time without zone is read as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat() + "Z"
