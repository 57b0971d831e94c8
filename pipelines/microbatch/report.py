"""Progress while a run is under way, and its counts and times at the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines.contracts.registry import TOPICS
from pipelines.silver.batch import Outcome

LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a layer is: records done since the start, and how many there are (None: unknown)."""

    layer: str
    done: int
    total: int | None = None
    note: str | None = None  # a message for the user


@dataclass(slots=True)
class TopicReport:
    """What a run did with the records of one topic."""

    polled: int = 0
    accepted_on_time: int = 0
    accepted_late: int = 0
    duplicates: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class RunReport:
    """What a run did. `seconds` is the total time of each step; steps overlap.

    Each field has one writing thread: `polled` the reading thread, `refreshes` the gold thread, all other counts the
    loop's thread. Each key of `seconds` belongs to one of them.
    """

    topics: dict[str, TopicReport] = field(default_factory=lambda: {topic: TopicReport() for topic in TOPICS})
    rounds: int = 0
    refreshes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def polled(self) -> int:
        """Records read from the log."""
        return sum(topic.polled for topic in self.topics.values())

    @property
    def judged(self) -> int:
        """Records that got a verdict."""
        return sum(
            topic.accepted_on_time + topic.accepted_late + topic.duplicates + topic.quarantined
            for topic in self.topics.values()
        )

    @property
    def records(self) -> int:
        """Records processed: those read, or those that got a verdict if the run only did that."""
        return max(self.polled, self.judged)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the duration of the block to the step."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began

    def count(self, outcome: Outcome) -> None:
        """Add the verdicts of an outcome."""
        report = self.topics[outcome.topic]
        for entry in outcome.ledger:
            for counts in entry.partitions:
                report.accepted_on_time += counts.accepted_on_time
                report.accepted_late += counts.accepted_late
                report.duplicates += counts.duplicates
                report.quarantined += counts.quarantined
                for reason, rows in counts.reasons.items():
                    report.reasons[reason] = report.reasons.get(reason, 0) + rows
