"""Data faults between the source and the log: delays, copies, corrupt records. Each share is a parameter."""

from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np
import polars as pl

from pipelines.contracts.registry import CONTRACTS
from producers import corruption
from producers.draft import Draft
from producers.randomness import Bools, Floats, Ints, log_uniform
from producers.text import DAY, HOUR, MINUTE, SECOND


@dataclass(frozen=True, slots=True)
class DataFaults:
    """Shares of a topic's events, each in 0..1. Copies are additional records; the other faults exclude one another."""

    out_of_order: float = 0.03  # up to 10 minutes late
    late: float = 0.015  # 15 minutes to 40 hours late
    too_late: float = 0.0005  # 62 to 96 hours late; business topics only
    duplicated: float = 0.01  # sent again, the same bytes
    conflicting: float = 0.0005  # sent again with the same id and other content
    broken: float = 0.002  # no JSON object at all
    contract: float = 0.002  # JSON that breaks one rule of the contract
    future: float = 0.001  # a clock that runs ahead
    new_fields: float = 0.001  # schema drift (R29)

    def __post_init__(self) -> None:
        """Raise ValueError unless each share is in 0..1 and their sum is at most 1."""
        shares = [getattr(self, part.name) for part in fields(self)]
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"each share must be in 0..1 and their sum at most 1, found {shares}")

    def __repr__(self) -> str:
        """Return a text that never changes: the ids of all events of a seed are derived from it (`World.name`)."""
        return f"Dirt({', '.join(f'{part.name}={getattr(self, part.name)!r}' for part in fields(self))})"

    @classmethod
    def none(cls) -> "DataFaults":
        """Return faults of share 0: every event arrives at once, in order, valid and once."""
        return cls(**dict.fromkeys((part.name for part in fields(cls)), 0.0))

    @property
    def copies(self) -> float:
        """Additional records per event."""
        return self.duplicated + self.conflicting


class FaultKind(IntEnum):
    """The fault of a record."""

    NONE = 0
    OUT_OF_ORDER = 1
    LATE = 2
    TOO_LATE = 3
    FUTURE = 4
    BROKEN = 5
    CONTRACT = 6
    NEW_FIELD = 7
    DUPLICATE = 8
    CONFLICTING = 9


_SHARES = {
    FaultKind.TOO_LATE: "too_late",
    FaultKind.LATE: "late",
    FaultKind.OUT_OF_ORDER: "out_of_order",
    FaultKind.FUTURE: "future",
    FaultKind.BROKEN: "broken",
    FaultKind.CONTRACT: "contract",
    FaultKind.NEW_FIELD: "new_fields",
    FaultKind.DUPLICATE: "duplicated",
    FaultKind.CONFLICTING: "conflicting",
}
_DELAYED = (FaultKind.OUT_OF_ORDER, FaultKind.LATE, FaultKind.TOO_LATE)
_REWRITTEN = (FaultKind.BROKEN, FaultKind.CONTRACT, FaultKind.NEW_FIELD)

FACTS = {
    "arrival": pl.Int64,  # milliseconds since 1970: the record's timestamp
    "event_time": pl.Int64,  # as the record states it
    "kind": pl.UInt8,
    "amount": pl.Int64,
    "units": pl.Int64,
    "extra": pl.Int64,
    "reason": pl.String,  # the one rule that quarantines a corrupt record
}


@dataclass(slots=True)
class FaultInjector:
    """Turn drafts into records: a frame of FACTS, `key` and `value`, one row per record, unordered.

    All records arrive before `end` (milliseconds since 1970). Without `end` (live), late events get an earlier event
    time instead of a later arrival. The number of records of each fault follows its share exactly, per topic.
    """

    faults: DataFaults
    end: int | None
    _seen: dict[str, int] = field(default_factory=dict)
    _done: dict[tuple[str, FaultKind], int] = field(default_factory=dict)

    def inject(self, draft: Draft, random: np.random.Generator) -> pl.DataFrame:
        """Return the records of these events, including copies."""
        count = len(draft)
        kind = np.zeros(count, np.uint8)
        chosen = self._choose(draft, random)
        for name, at in chosen.items():
            if name not in (FaultKind.DUPLICATE, FaultKind.CONFLICTING):
                kind[at] = name
        time, delay = self._delays(draft, kind, random)
        arrival = draft.event_time + delay
        time = np.where(kind == FaultKind.FUTURE, time + log_uniform(random.random(count), 6 * MINUTE, 3 * DAY), time)
        if self.end is not None:
            arrival = np.minimum(arrival, self.end - 1)
        records = pl.DataFrame(
            {
                "arrival": arrival, "event_time": time, "kind": kind, "amount": draft.amount, "units": draft.units,
                "extra": draft.extra, "key": draft.key, "value": draft.values(time).cast(pl.Binary),
            }
        ).with_columns(reason=pl.lit(None, pl.String))  # fmt: skip
        added = [self._copies(records, chosen, random)]
        rewritten = np.flatnonzero(np.isin(kind, _REWRITTEN))
        if len(rewritten):
            added.append(self._rewrite(draft.topic, records[rewritten], random))
            records = records.filter(pl.Series(values=~np.isin(kind, _REWRITTEN)))
        return pl.concat([records, *(part for part in added if part is not None)], how="diagonal")

    def _choose(self, draft: Draft, random: np.random.Generator) -> dict[FaultKind, Ints]:
        """Select the rows of each fault; no row has two."""
        seen = self._seen[draft.topic] = self._seen.get(draft.topic, 0) + len(draft)
        free = random.permutation(len(draft))
        chosen: dict[FaultKind, Ints] = {}
        for kind, name in _SHARES.items():
            share = getattr(self.faults, name)
            done = self._done.get((draft.topic, kind), 0)
            count = int(share * seen + 1e-9) - done  # a shortfall is added to the next draft
            able = free[self._can_be_late(draft, free, kind)] if kind in _DELAYED else free
            chosen[kind] = np.sort(able[:count])
            self._done[draft.topic, kind] = done + len(chosen[kind])
            free = free[~np.isin(free, chosen[kind])] if count else free
        return chosen

    def _can_be_late(self, draft: Draft, rows: Ints, kind: FaultKind) -> Bools:
        if kind == FaultKind.TOO_LATE and CONTRACTS[draft.topic].is_master:
            return np.zeros(len(rows), np.bool_)
        if self.end is None:
            return ~draft.caused[rows]
        if kind == FaultKind.OUT_OF_ORDER:
            return np.ones(len(rows), np.bool_)
        if kind == FaultKind.LATE:
            return draft.event_time[rows] + 20 * MINUTE < self.end
        return np.asarray(~draft.caused[rows] | (draft.event_time[rows] + 97 * HOUR < self.end))

    def _delays(self, draft: Draft, kind: np.ndarray, random: np.random.Generator) -> tuple[Ints, Ints]:
        """Return each event's stated time and its delay from actual time to arrival, in milliseconds."""
        chance: Floats = random.random(len(draft))
        time = draft.event_time
        # Transport takes up to 400 ms in a history. A live record has real transport time in addition.
        delay = 20 + (chance * 380).astype(np.int64) if self.end is not None else 1 + (chance * 3).astype(np.int64)
        late, swapped = kind == FaultKind.LATE, kind == FaultKind.OUT_OF_ORDER
        shortly = np.where(swapped, (30 * SECOND + chance * 9 * MINUTE).astype(np.int64), 0)
        room = np.full(len(draft), 40.0 * HOUR)
        if self.end is not None:
            room = np.clip(self.end - time - MINUTE, 15 * MINUTE, 40 * HOUR).astype(np.float64)
        behind = log_uniform(chance, 15 * MINUTE, room)
        far = kind == FaultKind.TOO_LATE
        waits = (62 * HOUR + chance * 34 * HOUR).astype(np.int64)
        days_back = (3 + (chance < 0.5)) * DAY  # whole days keep the time of day within opening hours
        if self.end is None:
            return time - np.where(late, behind, np.where(far, days_back, shortly)), delay
        delay = np.where(swapped, shortly, delay)
        fits = far & (time + waits < self.end)
        return time - np.where(far & ~fits, days_back, 0), np.where(late, behind, np.where(fits, waits, delay))

    def _copies(
        self, records: pl.DataFrame, chosen: dict[FaultKind, Ints], random: np.random.Generator
    ) -> pl.DataFrame | None:
        parts = []
        latest = 20 * MINUTE if self.end is not None else 30 * SECOND
        for kind in (FaultKind.DUPLICATE, FaultKind.CONFLICTING):
            at = chosen[kind]
            if len(at):
                again = records[at]
                arrival = again["arrival"].to_numpy() + log_uniform(random.random(len(at)), 2 * SECOND, latest)
                if self.end is not None:
                    arrival = np.minimum(arrival, self.end - 1)
                values = again["value"]
                if kind == FaultKind.CONFLICTING:
                    values = pl.Series("value", [corruption.make_conflicting(value) for value in values], pl.Binary)
                parts.append(
                    again.with_columns(
                        arrival=pl.Series(values=arrival),
                        kind=pl.lit(int(kind), pl.UInt8),
                        value=values,
                        amount=0,
                        units=0,
                        extra=0,
                    )
                )
        return pl.concat(parts, how="vertical_relaxed").cast(records.schema) if parts else None

    def _rewrite(self, topic: str, records: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        corrupted = []
        for value, kind, chance in zip(records["value"], records["kind"], random.random(len(records)), strict=True):
            if kind == FaultKind.BROKEN:
                corrupted.append(corruption.break_json(value, chance))
            elif kind == FaultKind.CONTRACT:
                corrupted.append(corruption.violate_contract(CONTRACTS[topic], value, chance))
            else:
                corrupted.append(corruption.CorruptRecord(corruption.add_unknown_field(topic, value, chance), None))
        return records.with_columns(
            value=pl.Series([result.value for result in corrupted], dtype=pl.Binary),
            reason=pl.Series([result.reason for result in corrupted], dtype=pl.String),
        )
