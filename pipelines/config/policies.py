"""Policies: the rules of lateness, drift and retention that the settings choose for a topic."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeps the newest `commits`, then the last commit of each hour for `hours`, then of each UTC day for `days`.

    Files that a compaction replaced are kept for `grace`, so that readers that have started can finish.
    """

    commits: int = 20
    hours: int = 24
    days: int = 30
    grace: timedelta = timedelta(hours=1)


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """All settings that decide the verdict of a topic's records. Silver stores each policy with its first batch.

    The defaults are those of the settings. They also apply to a field that a stored policy lacks because the policy is
    older than the field: choose the default of a new field so that it does not change verdicts.
    """

    out_of_orderness: timedelta = timedelta(minutes=10)
    allowed_lateness: timedelta = timedelta(hours=48)
    future_tolerance: timedelta = timedelta(minutes=5)
    idle_timeout: timedelta = timedelta(minutes=5)
    drift: str = "evolve"
    currency: str = "EUR"
    min_event_time: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def to_json(self) -> str:
        """Lossless text for a table property, with durations in microseconds. Equal policies give equal text."""
        return json.dumps({name: _encode(value) for name, value in asdict(self).items()}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of `to_json`. Absent fields get their default; unknown fields are ignored."""
        stored = json.loads(text)
        known = {field.name: field.default for field in fields(cls) if field.name in stored}
        return cls(**{name: _decode(stored[name], type(default)) for name, default in known.items()})


DEFAULT_POLICY = Policy()


def _encode(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    return value.isoformat() if isinstance(value, datetime) else value


def _decode(value: Any, kind: type) -> Any:
    if kind is timedelta:
        return timedelta(microseconds=value)
    return datetime.fromisoformat(value) if kind is datetime else value
