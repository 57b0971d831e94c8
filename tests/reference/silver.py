"""Assign verdicts to bronze records, one by one. Source: R1, R14-R22, R27."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .contract import Checked, Policy, check
from .contract_table import KEYS, MASTER
from .rfc8259 import Value, canonical

RELEASE = "animeverse-release"
Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True, slots=True)
class Record:
    """One bronze row. `headers` is the log's list of (name, value)."""

    topic: str
    batch_id: int
    partition: int
    offset: int
    timestamp: datetime | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> Place:
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one record."""

    record: Record
    outcome: str  # accepted, duplicate, quarantined
    reasons: tuple[str, ...] = ()  # sorted; of a quarantined record
    arrival: str | None = None  # on_time, late; of an accepted record
    lateness_seconds: float = 0.0
    row: Mapping[str, Any] = field(default_factory=dict)  # contract members; `items` is a list of rows
    extras: Mapping[str, Value] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # of an accepted record
    event_id: str | None = None


@dataclass(slots=True)
class PartitionState:
    """The state of one topic partition that determines the watermark."""

    high: datetime | None = None
    last_record_at: datetime | None = None


class FrozenError(Exception):
    """Drift policy `freeze` found `field` in `place`. Nothing of its batch may be committed."""

    def __init__(self, place: Place, field: str) -> None:
        super().__init__(f"{place}: {field}")
        self.place, self.field = place, field


@dataclass(slots=True)
class Silver:
    """All verdicts in bronze order, and the state after the last record."""

    verdicts: list[Verdict] = field(default_factory=list)
    partitions: dict[tuple[str, int], PartitionState] = field(default_factory=dict)
    winners: dict[tuple[str, str], list[tuple[datetime, object]]] = field(default_factory=dict)
    quarantined: set[Place] = field(default_factory=set)
    released: set[Place] = field(default_factory=set)  # quarantined records whose release was accepted

    def accepted(self, topic: str | None = None) -> list[Verdict]:
        return [one for one in self.verdicts if one.outcome == "accepted" and topic in (None, one.record.topic)]

    def rule_counts(self) -> Counter[tuple[int, str, str, str]]:
        """Return rows by (batch_id, topic, rule, action)."""
        counts: Counter[tuple[int, str, str, str]] = Counter()
        for one in self.verdicts:
            named = [("quarantine", rule) for rule in one.reasons] + [("warn", rule) for rule in one.warnings]
            counts.update((one.record.batch_id, one.record.topic, rule, action) for action, rule in named)
        return counts


def judge(records: Iterable[Record], policy: Policy | Callable[[Record], Policy] | None = None) -> Silver:
    """Return a verdict for every record. Records are in bronze order per topic. A callable returns a record's policy.

    Raises FrozenError at the first record that a `freeze` policy stops.
    """
    silver = Silver()
    last: dict[str, tuple[int, int, int]] = {}
    for record in records:
        here = (record.batch_id, record.partition, record.offset)
        assert record.topic not in last or last[record.topic] < here, f"not in bronze order: {record.place}"
        last[record.topic] = here
        rules = policy(record) if callable(policy) else policy or Policy()
        verdict = _judge_one(silver, record, rules)
        silver.verdicts.append(verdict)
        if verdict.outcome == "quarantined":
            silver.quarantined.add(record.place)
    return silver


def _judge_one(silver: Silver, record: Record, policy: Policy) -> Verdict:
    state = silver.partitions.setdefault((record.topic, record.partition), PartitionState())
    if record.timestamp is not None:
        state.last_record_at = max(state.last_record_at or record.timestamp, record.timestamp)
    checked = check(record.topic, record.value, policy)
    if checked.reasons:
        return _quarantine(record, checked, *checked.reasons)
    if checked.drift and policy.drift == "freeze":
        raise FrozenError(record.place, checked.drift[0])
    if checked.drift and policy.drift == "quarantine":
        return _quarantine(record, checked, "schema_drift")
    event_time: datetime = checked.row["event_time"]
    if record.timestamp is not None and event_time > record.timestamp + policy.future_tolerance:
        return _quarantine(record, checked, "future")
    origin = _released_place(silver, record)
    high = state.high
    if origin is None:
        state.high = max(high or event_time, event_time)
    arrival = "late" if origin else _arrival(record.topic, event_time, high, policy)
    if arrival == "too_late":
        return _quarantine(record, checked, "too_late")
    key = (record.topic, checked.row["event_id"])
    content = canonical(checked.event)
    copies = silver.winners.setdefault(key, [])
    remembered = copies
    if record.topic not in MASTER and origin is None:
        horizon = (high or event_time) - policy.allowed_lateness
        remembered = [copy for copy in copies if copy[0] >= horizon]
    if any(copy[1] == content for copy in remembered):
        return Verdict(record, "duplicate", event_id=checked.event_id)
    if remembered:
        return _quarantine(record, checked, "conflicting_duplicate")
    if origin in silver.released:  # a second release adds nothing, even with another event_id
        return Verdict(record, "duplicate", event_id=checked.event_id)
    copies.append((event_time, content))
    if origin:
        silver.released.add(origin)
    lateness = max(0.0, (high - event_time).total_seconds()) if high else 0.0
    key_text = checked.row[KEYS[record.topic]]
    if record.key is not None and record.key != key_text.encode():
        checked.warnings.add("key_mismatch")
    return Verdict(
        record,
        "accepted",
        arrival=arrival,
        lateness_seconds=lateness,
        row=checked.row,
        extras=checked.extras,
        warnings=tuple(sorted(checked.warnings)),
        event_id=checked.event_id,
    )


def _arrival(topic: str, event_time: datetime, high: datetime | None, policy: Policy) -> str:
    if high is None or event_time >= high - policy.out_of_orderness:
        return "on_time"
    if topic in MASTER or event_time >= high - policy.allowed_lateness:
        return "late"
    return "too_late"


def _quarantine(record: Record, checked: Checked, *reasons: str) -> Verdict:
    return Verdict(record, "quarantined", reasons=tuple(sorted(reasons)), event_id=checked.event_id)


def _released_place(silver: Silver, record: Record) -> Place | None:
    """Return the quarantined record of this topic that the release header names; None if there is none."""
    for name, value in record.headers:
        parts = (value or b"").split(b"/")
        if name == RELEASE and len(parts) == 3:
            for place in silver.quarantined:
                if place[0] == record.topic and [str(part).encode() for part in place] == parts:
                    return place
    return None


def idle_partitions(silver: Silver, topic: str, policy: Policy) -> set[int]:
    """Return the partitions with a high whose last record is more than idle_timeout before the topic's last record.

    Partitions without a high do not count here either. A partition whose records have no timestamp is never idle.
    """
    clocks = {one: state.last_record_at for one, state in _with_high(silver, topic).items() if state.last_record_at}
    return {one for one, clock in clocks.items() if clock < max(clocks.values()) - policy.idle_timeout}


def watermark(silver: Silver, topic: str, policy: Policy | None = None) -> datetime | None:
    """Return the least high - out_of_orderness over the topic's partitions that are not idle (R16)."""
    policy = policy or Policy()
    idle = idle_partitions(silver, topic, policy)
    awake = [state.high for partition, state in _with_high(silver, topic).items() if partition not in idle]
    return min(high for high in awake if high) - policy.out_of_orderness if awake else None


def _with_high(silver: Silver, topic: str) -> dict[int, PartitionState]:
    return {partition: state for (name, partition), state in silver.partitions.items() if name == topic and state.high}
