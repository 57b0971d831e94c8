"""The expected outcome of each generated record, computed without parsing any. For tests and benchmarks.

`Truth` takes the fault of each record and applies the time rules (R14, R15) per partition. It assumes the default
policies: out of order 10 min, lateness 48 h, future 5 min, drift `evolve`, currency EUR.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from pipelines.contracts.registry import CONTRACTS
from pipelines.log.partitioner import partitions_of
from producers.data_faults import FaultKind
from producers.randomness import Ints
from producers.seasons import calendar_day
from producers.text import DAY, HOUR, MINUTE
from producers.world import Batch

_CENT = Decimal("0.01")
_NO_HIGH = -(2**62)


@dataclass(slots=True)
class Truth:
    """Counts and sums of the records added so far. Add batches in the order in which the log receives them.

    An outcome is on_time, late, duplicate, conflicting_duplicate, future, too_late, unreadable or contract.
    """

    partitions: int = 4
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)  # topic -> outcome -> records
    kinds: dict[str, Counter[FaultKind]] = field(default_factory=dict)  # topic -> fault -> records
    reasons: dict[str, Counter[str]] = field(default_factory=dict)  # topic -> rule -> quarantined records
    _days: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    _high: dict[tuple[str, int], int] = field(default_factory=dict)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Add each batch and pass it on."""
        for batch in batches:
            self.add(batch)
            yield batch

    def add(self, batch: Batch) -> None:
        """Add one batch."""
        topic, facts = batch.topic, batch.facts
        kind = facts["kind"].to_numpy()
        time, high = facts["event_time"].to_numpy(), self._high_before(batch)
        has_high = high != _NO_HIGH
        outcome = np.where(has_high & (time < high - 10 * MINUTE), "late", "on_time").astype("<U21")
        outcome[kind == FaultKind.DUPLICATE] = "duplicate"
        outcome[kind == FaultKind.CONFLICTING] = "conflicting_duplicate"
        if not CONTRACTS[topic].is_master:
            outcome[has_high & (time < high - 48 * HOUR)] = "too_late"
        outcome[kind == FaultKind.FUTURE] = "future"
        outcome[kind == FaultKind.CONTRACT] = "contract"
        outcome[kind == FaultKind.BROKEN] = "unreadable"
        self.outcomes.setdefault(topic, Counter()).update(outcome.tolist())
        self.kinds.setdefault(topic, Counter()).update(FaultKind(fault) for fault in kind.tolist())
        reasons = self.reasons.setdefault(topic, Counter())
        reasons.update(name for name in outcome.tolist() if name in ("conflicting_duplicate", "future", "too_late"))
        reasons.update(rule for rule in facts["reason"].drop_nulls())
        accepted = np.flatnonzero((outcome == "on_time") | (outcome == "late"))
        days = time[accepted] // DAY
        sums = self._days.setdefault(topic, {})
        columns = [facts[name].to_numpy()[accepted] for name in ("amount", "units", "extra")]
        for day in np.unique(days).tolist():
            at = days == day
            entry = sums.setdefault(day, [0, 0, 0, 0])
            for index, column in enumerate([*columns, np.ones(len(accepted), np.int64)]):
                entry[index] += int(column[at].sum())

    def _high_before(self, batch: Batch) -> Ints:
        """Return `high` (R14) of each record's partition before that record."""
        kind = batch.facts["kind"].to_numpy()
        time = batch.facts["event_time"].to_numpy()
        moves = ~np.isin(kind, (FaultKind.BROKEN, FaultKind.CONTRACT, FaultKind.FUTURE))
        partition = partitions_of(batch.records["key"].combine_chunks(), self.partitions)
        before = np.full(len(time), _NO_HIGH)
        for number in range(self.partitions):
            at = np.flatnonzero(partition == number)
            if len(at):
                start = self._high.get((batch.topic, number), _NO_HIGH)
                reached = np.maximum.accumulate(np.concatenate(([start], np.where(moves[at], time[at], _NO_HIGH))))
                before[at] = reached[:-1]
                self._high[batch.topic, number] = int(reached[-1])
        return before

    def accepted(self, topic: str) -> int:
        """Number of the topic's events that silver must contain."""
        outcomes = self.outcomes.get(topic, Counter())
        return outcomes["on_time"] + outcomes["late"]

    def quarantined(self, topic: str) -> int:
        """Number of the topic's records that the quarantine must contain."""
        return (
            sum(self.outcomes.get(topic, Counter()).values()) - self.accepted(topic) - self.outcomes[topic]["duplicate"]
        )

    def net_sales(self) -> dict[date, Decimal]:
        """Net sales of the accepted sales and returns, by UTC day of event_time."""
        return self._money("pos-transactions", 0)

    def units(self) -> dict[date, int]:
        """Units sold minus units returned, by UTC day of event_time."""
        return self._daily("pos-transactions", 1)

    def ticket_revenue(self) -> dict[date, Decimal]:
        """Ticket revenue of the accepted bookings minus cancellations, by UTC day of event_time."""
        return self._money("cinema-sales", 0)

    def concessions(self) -> dict[date, Decimal]:
        """Concession revenue of the accepted bookings minus cancellations, by UTC day of event_time."""
        return self._money("cinema-sales", 2)

    def admissions(self) -> dict[date, int]:
        """Seats booked minus seats cancelled, by UTC day of event_time."""
        return self._daily("cinema-sales", 1)

    def _money(self, topic: str, index: int) -> dict[date, Decimal]:
        return {day: cents * _CENT for day, cents in self._daily(topic, index).items()}

    def _daily(self, topic: str, index: int) -> dict[date, int]:
        return {calendar_day(day): sums[index] for day, sums in sorted(self._days.get(topic, {}).items())}


def truth_of(batches: Iterable[Batch], partitions: int = 4) -> Truth:
    """Return the expected outcome of all these batches."""
    truth = Truth(partitions)
    for batch in batches:
        truth.add(batch)
    return truth
