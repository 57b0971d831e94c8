"""Records counted by verdict: the terms of the conservation law, of a topic or a day."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

VERDICTS = ("on_time", "late", "duplicates", "quarantined")


@dataclass(slots=True)
class RecordCounts:
    """Records by verdict. The sum of `quarantined_by_reason` may be larger, since a record can break several rules."""

    received: int = 0
    on_time: int = 0
    late: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0  # in bronze, without a verdict yet
    quarantined_by_reason: dict[str, int] = field(default_factory=dict)

    def add(self, other: "RecordCounts") -> None:
        """Add the other's counts."""
        for name in ("received", "waiting", *VERDICTS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.add_reasons(other.quarantined_by_reason)

    def add_reasons(self, counts: Mapping[str, int]) -> None:
        """Add counts by quarantine reason."""
        for reason, rows in counts.items():
            self.quarantined_by_reason[reason] = self.quarantined_by_reason.get(reason, 0) + rows

    @property
    def accepted(self) -> int:
        """Events in silver."""
        return self.on_time + self.late

    @property
    def holds(self) -> bool:
        """Whether the conservation law holds."""
        return self.received - self.waiting == self.accepted + self.duplicates + self.quarantined


@dataclass(frozen=True, slots=True)
class Releases:
    """Records of a topic that were released from quarantine, by the verdict of their copies."""

    released: int
    accepted: int
    quarantined_again: int
    other: int  # duplicates, and copies without a verdict yet


@dataclass(slots=True)
class TopicReconciliation:
    """One topic: the records of the log, their verdicts, and the contradictions between them."""

    topic: str
    log: int | None  # records up to where bronze has read, with those from files; None: the log is unreachable
    tally: RecordCounts
    days: dict[date, RecordCounts]  # by day of ingestion
    events: dict[date, RecordCounts]  # accepted events by day of event_time
    releases: Releases | None
    faults: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {
            "topic": self.topic,
            "log": self.log,
            "bronze": self.tally.received,
            **{name: value for name, value in asdict(self.tally).items() if name != "received"},
            "faults": list(self.faults),
            "releases": None if self.releases is None else asdict(self.releases),
            "days": [{"date": day.isoformat(), **asdict(counts)} for day, counts in sorted(self.days.items())],
            "event_days": [
                {"date": day.isoformat(), "on_time": counts.on_time, "late": counts.late}
                for day, counts in sorted(self.events.items())
            ],
        }
