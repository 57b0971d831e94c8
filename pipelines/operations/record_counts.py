"""Records counted by what became of them: the terms of the conservation law, for a topic, a day or all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

VERDICTS = ("on_time", "late", "duplicates", "quarantined")


@dataclass(slots=True)
class RecordCounts:
    """Records by what became of them. `quarantined_by_reason` may add up to more: a record may break several rules."""

    received: int = 0
    on_time: int = 0
    late: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0  # in bronze, not judged yet
    quarantined_by_reason: dict[str, int] = field(default_factory=dict)

    def add(self, other: "RecordCounts") -> None:
        """Count the other's records, too."""
        for name in ("received", "waiting", *VERDICTS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.add_reasons(other.quarantined_by_reason)

    def add_reasons(self, counts: Mapping[str, int]) -> None:
        """Count reasons."""
        for reason, rows in counts.items():
            self.quarantined_by_reason[reason] = self.quarantined_by_reason.get(reason, 0) + rows

    @property
    def accepted(self) -> int:
        """Events in silver."""
        return self.on_time + self.late

    @property
    def holds(self) -> bool:
        """The conservation law."""
        return self.received - self.waiting == self.accepted + self.duplicates + self.quarantined


@dataclass(frozen=True, slots=True)
class Releases:
    """Records of a topic that were released from quarantine, and what became of the copies."""

    released: int
    accepted: int
    quarantined_again: int
    other: int  # duplicates, and copies that silver has not judged yet


@dataclass(slots=True)
class TopicReconciliation:
    """One topic: what the log holds, what became of it, and what does not add up."""

    topic: str
    log: int | None  # records up to where bronze has read, with those from files; None: the log cannot be asked
    tally: RecordCounts
    days: dict[date, RecordCounts]  # by day of ingestion
    events: dict[date, RecordCounts]  # accepted events by day of event_time
    releases: Releases | None
    faults: list[str]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "topic": self.topic,
            "log": self.log,
            "bronze": self.tally.received,
            **{name: value for name, value in asdict(self.tally).items() if name != "received"},
            "faults": list(self.faults),
            "releases": None if self.releases is None else asdict(self.releases),
            "days": [{"date": day.isoformat(), **asdict(tally)} for day, tally in sorted(self.days.items())],
            "event_days": [
                {"date": day.isoformat(), "on_time": tally.on_time, "late": tally.late}
                for day, tally in sorted(self.events.items())
            ],
        }
