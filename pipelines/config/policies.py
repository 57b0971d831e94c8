"""Policies: the lateness, drift and retention rules that settings choose for a topic."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Retention:
    """The newest `commits`, then the last of each hour for `hours`, then the last of each UTC day for `days`.

    What a compaction replaced is kept for `grace`: who had begun to read it may finish.
    """

    commits: int = 20
    hours: int = 24
    days: int = 30
    grace: timedelta = timedelta(hours=1)


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """All settings that decide a record's verdict, for one topic. Silver keeps them with the batch they hold from."""

    out_of_orderness: timedelta
    allowed_lateness: timedelta
    future_tolerance: timedelta
    idle_timeout: timedelta
    drift: str
    currency: str
    min_event_time: datetime

    def to_json(self) -> str:
        """Lossless text for a table property; durations in µs, the same text for equal policies."""
        return json.dumps(
            {
                "out_of_orderness": self.out_of_orderness // _MICROSECOND,
                "allowed_lateness": self.allowed_lateness // _MICROSECOND,
                "future_tolerance": self.future_tolerance // _MICROSECOND,
                "idle_timeout": self.idle_timeout // _MICROSECOND,
                "drift": self.drift,
                "currency": self.currency,
                "min_event_time": self.min_event_time.isoformat(),
            },
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The policy that `to_json` wrote."""
        read = json.loads(text)
        durations = ("out_of_orderness", "allowed_lateness", "future_tolerance", "idle_timeout")
        return cls(
            **{name: timedelta(microseconds=read[name]) for name in durations},
            drift=read["drift"],
            currency=read["currency"],
            min_event_time=datetime.fromisoformat(read["min_event_time"]),
        )
