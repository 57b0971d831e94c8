"""Times as microseconds since the epoch, UTC: exact integers, and the way back."""

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
    """Microseconds since the epoch of a time with zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(moment: int) -> datetime:
    """The time in UTC; what lies before year 1 or after year 9999 is cut to the first or last moment of them."""
    if moment <= to_micros(FIRST):
        return FIRST
    if moment >= to_micros(LAST):
        return LAST
    return _EPOCH + timedelta(microseconds=moment)


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The real clock, for the edge."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC. A time without a zone is one in UTC, as all days here are."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat() + "Z"
