"""The world's own truth: what must become of every record, known without parsing a single one. For tests and checks.

It knows what was done to each record and applies the rules of time (R14, R15) to that, partition by partition. It holds
for the default policies: out of order 10 min, lateness 48 h, future 5 min, drift `evolve`, euros.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from pipelines.contracts.registry import CONTRACTS
from pipelines.log.partitioner import partitions_of
from producers.data_faults import Kind
from producers.randomness import Ints
from producers.seasons import calendar_day
from producers.text import DAY, HOUR, MINUTE
from producers.world import Batch

FATES = ("on_time", "late", "duplicate", "conflicting_duplicate", "future", "too_late", "unreadable", "contract")
_CENT = Decimal("0.01")
_NO_HIGH = -(2**62)


@dataclass(slots=True)
class Truth:
    """Counts and sums of all records seen so far. Records must be told in the order in which the log gets them."""

    partitions: int = 4
    fates: dict[str, Counter[str]] = field(default_factory=dict)  # topic -> fate -> records
    kinds: dict[str, Counter[Kind]] = field(default_factory=dict)  # topic -> what was done -> records
    reasons: dict[str, Counter[str]] = field(default_factory=dict)  # topic -> rule -> quarantined records
    _days: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    _high: dict[tuple[str, int], int] = field(default_factory=dict)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, remembered as they pass."""
        for batch in batches:
            self.tell(batch)
            yield batch

    def tell(self, batch: Batch) -> None:
        """Judge one batch."""
        topic, facts = batch.topic, batch.facts
        kind = facts["kind"].to_numpy()
        time, high = facts["event_time"].to_numpy(), self._high_before(batch)
        timely = high != _NO_HIGH
        fate = np.where(timely & (time < high - 10 * MINUTE), "late", "on_time").astype("<U21")
        fate[kind == Kind.DUPLICATE] = "duplicate"
        fate[kind == Kind.CONFLICTING] = "conflicting_duplicate"
        if not CONTRACTS[topic].is_master:
            fate[timely & (time < high - 48 * HOUR)] = "too_late"
        fate[kind == Kind.FUTURE] = "future"
        fate[kind == Kind.CONTRACT] = "contract"
        fate[kind == Kind.BROKEN] = "unreadable"
        self.fates.setdefault(topic, Counter()).update(fate.tolist())
        self.kinds.setdefault(topic, Counter()).update(Kind(done) for done in kind.tolist())
        reasons = self.reasons.setdefault(topic, Counter())
        reasons.update(name for name in fate.tolist() if name in ("conflicting_duplicate", "future", "too_late"))
        reasons.update(rule for rule in facts["reason"].drop_nulls())
        accepted = np.flatnonzero((fate == "on_time") | (fate == "late"))
        days = time[accepted] // DAY
        sums = self._days.setdefault(topic, {})
        columns = [facts[name].to_numpy()[accepted] for name in ("amount", "units", "extra")]
        for day in np.unique(days).tolist():
            at = days == day
            entry = sums.setdefault(day, [0, 0, 0, 0])
            for place, column in enumerate([*columns, np.ones(len(accepted), np.int64)]):
                entry[place] += int(column[at].sum())

    def _high_before(self, batch: Batch) -> Ints:
        """R14's high of each record's partition before it."""
        kind = batch.facts["kind"].to_numpy()
        time = batch.facts["event_time"].to_numpy()
        moves = ~np.isin(kind, (Kind.BROKEN, Kind.CONTRACT, Kind.FUTURE))
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
        """Events of the topic that silver must hold."""
        fates = self.fates.get(topic, Counter())
        return fates["on_time"] + fates["late"]

    def quarantined(self, topic: str) -> int:
        """Records of the topic that quarantine must hold."""
        return sum(self.fates.get(topic, Counter()).values()) - self.accepted(topic) - self.fates[topic]["duplicate"]

    def net_sales(self) -> dict[date, Decimal]:
        """Net sales of the accepted sales and returns, by day of event_time."""
        return self._money("pos-transactions", 0)

    def units(self) -> dict[date, int]:
        """Units sold less units returned, by day of event_time."""
        return self._whole("pos-transactions", 1)

    def ticket_revenue(self) -> dict[date, Decimal]:
        """Ticket revenue of the accepted bookings less cancellations, by day of event_time."""
        return self._money("cinema-sales", 0)

    def concessions(self) -> dict[date, Decimal]:
        """Concession revenue, likewise."""
        return self._money("cinema-sales", 2)

    def admissions(self) -> dict[date, int]:
        """Seats booked less seats cancelled, by day of event_time."""
        return self._whole("cinema-sales", 1)

    def _money(self, topic: str, place: int) -> dict[date, Decimal]:
        return {day: cents * _CENT for day, cents in self._whole(topic, place).items()}

    def _whole(self, topic: str, place: int) -> dict[date, int]:
        return {calendar_day(day): sums[place] for day, sums in sorted(self._days.get(topic, {}).items())}


def truth_of(batches: Iterable[Batch], partitions: int = 4) -> Truth:
    """The truth about all of them."""
    truth = Truth(partitions)
    for batch in batches:
        truth.tell(batch)
    return truth
