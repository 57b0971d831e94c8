"""What goes wrong on the way to the log: delay, copies, broken records. Each share is a parameter of the world."""

from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np
import polars as pl

from pipelines.contracts.registry import CONTRACTS
from producers import corruption as vandal
from producers.draft import Draft
from producers.randomness import Bools, Floats, Ints, log_uniform
from producers.text import DAY, HOUR, MINUTE, SECOND


@dataclass(frozen=True, slots=True)
class DataFaults:
    """Shares of a topic's events, each in 0..1. Copies come on top; all others exclude one another."""

    out_of_order: float = 0.03  # up to 10 minutes late
    late: float = 0.015  # 15 minutes to 40 hours late
    too_late: float = 0.0005  # 62 to 96 hours late; business topics only
    duplicated: float = 0.01  # sent again, the same bytes
    conflicting: float = 0.0005  # sent again with the same id and other content
    broken: float = 0.002  # no JSON object at all
    contract: float = 0.002  # JSON that breaks one rule of the contract
    future: float = 0.001  # a clock that runs ahead
    new_fields: float = 0.001  # schema drift

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        shares = [getattr(self, part.name) for part in fields(self)]
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"each share of dirt lies in 0..1 and all together at most 1, found {shares}")

    @classmethod
    def none(cls) -> "DataFaults":
        """A clean world: every event arrives at once, in order, whole and only once."""
        return cls(**dict.fromkeys((part.name for part in fields(cls)), 0.0))

    @property
    def copies(self) -> float:
        """Records that come on top of an event."""
        return self.duplicated + self.conflicting


class Kind(IntEnum):
    """What was done to a record."""

    PLAIN = 0
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
    Kind.TOO_LATE: "too_late", Kind.LATE: "late", Kind.OUT_OF_ORDER: "out_of_order", Kind.FUTURE: "future",
    Kind.BROKEN: "broken", Kind.CONTRACT: "contract", Kind.NEW_FIELD: "new_fields", Kind.DUPLICATE: "duplicated",
    Kind.CONFLICTING: "conflicting",
}  # fmt: skip
_DELAYED = (Kind.OUT_OF_ORDER, Kind.LATE, Kind.TOO_LATE)
_REWRITTEN = (Kind.BROKEN, Kind.CONTRACT, Kind.NEW_FIELD)

FACTS = {
    "arrival": pl.Int64,  # milliseconds since 1970: the record's timestamp
    "event_time": pl.Int64,  # as the record states it
    "kind": pl.UInt8,
    "amount": pl.Int64,
    "units": pl.Int64,
    "extra": pl.Int64,
    "reason": pl.String,  # the one rule that stops a broken record
}


@dataclass(slots=True)
class FaultInjector:
    """Turns drafts into records: a frame of FACTS and `key`, `value`, one row a record, not yet in order.

    `end` is the end of the world, before which everything arrives; without one (live) lateness moves events back
    in time instead of delaying them. How many records get which treatment is exact over time, topic by topic.
    """

    dirt: DataFaults
    end: int | None
    _seen: dict[str, int] = field(default_factory=dict)
    _done: dict[tuple[str, Kind], int] = field(default_factory=dict)

    def spoil(self, draft: Draft, random: np.random.Generator) -> pl.DataFrame:
        """Records of these events, copies included."""
        count = len(draft)
        kind = np.zeros(count, np.uint8)
        chosen = self._choose(draft, random)
        for name, at in chosen.items():
            if name not in (Kind.DUPLICATE, Kind.CONFLICTING):
                kind[at] = name
        time, delay = self._delays(draft, kind, random)
        arrival = draft.event_time + delay
        time = np.where(kind == Kind.FUTURE, time + log_uniform(random.random(count), 6 * MINUTE, 3 * DAY), time)
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

    def _choose(self, draft: Draft, random: np.random.Generator) -> dict[Kind, Ints]:
        """Rows for each treatment, no row twice."""
        seen = self._seen[draft.topic] = self._seen.get(draft.topic, 0) + len(draft)
        free = random.permutation(len(draft))
        chosen: dict[Kind, Ints] = {}
        for kind, name in _SHARES.items():
            share = getattr(self.dirt, name)
            done = self._done.get((draft.topic, kind), 0)
            count = int(share * seen + 1e-9) - done  # what no row was left for is made up for later
            able = free[self._can_be_late(draft, free, kind)] if kind in _DELAYED else free
            chosen[kind] = np.sort(able[:count])
            self._done[draft.topic, kind] = done + len(chosen[kind])
            free = free[~np.isin(free, chosen[kind])] if count else free
        return chosen

    def _can_be_late(self, draft: Draft, rows: Ints, kind: Kind) -> Bools:
        if kind == Kind.TOO_LATE and CONTRACTS[draft.topic].is_master:
            return np.zeros(len(rows), np.bool_)
        if self.end is None:
            return ~draft.caused[rows]
        if kind == Kind.OUT_OF_ORDER:
            return np.ones(len(rows), np.bool_)
        if kind == Kind.LATE:
            return draft.event_time[rows] + 20 * MINUTE < self.end
        return np.asarray(~draft.caused[rows] | (draft.event_time[rows] + 97 * HOUR < self.end))

    def _delays(self, draft: Draft, kind: np.ndarray, random: np.random.Generator) -> tuple[Ints, Ints]:
        """When each event says it happened, and how long after it really happened it arrives."""
        chance: Floats = random.random(len(draft))
        time = draft.event_time
        # From the till to the log: up to 400 ms in a history; live, the way is real and takes its own time.
        delay = 20 + (chance * 380).astype(np.int64) if self.end is not None else 1 + (chance * 3).astype(np.int64)
        late, swapped = kind == Kind.LATE, kind == Kind.OUT_OF_ORDER
        shortly = np.where(swapped, (30 * SECOND + chance * 9 * MINUTE).astype(np.int64), 0)
        room = np.full(len(draft), 40.0 * HOUR)
        if self.end is not None:
            room = np.clip(self.end - time - MINUTE, 15 * MINUTE, 40 * HOUR).astype(np.float64)
        behind = log_uniform(chance, 15 * MINUTE, room)
        far = kind == Kind.TOO_LATE
        waits = (62 * HOUR + chance * 34 * HOUR).astype(np.int64)
        days_back = (3 + (chance < 0.5)) * DAY  # whole days, so that opening hours hold
        if self.end is None:
            return time - np.where(late, behind, np.where(far, days_back, shortly)), delay
        delay = np.where(swapped, shortly, delay)
        fits = far & (time + waits < self.end)
        return time - np.where(far & ~fits, days_back, 0), np.where(late, behind, np.where(fits, waits, delay))

    def _copies(
        self, records: pl.DataFrame, chosen: dict[Kind, Ints], random: np.random.Generator
    ) -> pl.DataFrame | None:
        parts = []
        latest = 20 * MINUTE if self.end is not None else 30 * SECOND
        for kind in (Kind.DUPLICATE, Kind.CONFLICTING):
            at = chosen[kind]
            if len(at):
                again = records[at]
                arrival = again["arrival"].to_numpy() + log_uniform(random.random(len(at)), 2 * SECOND, latest)
                if self.end is not None:
                    arrival = np.minimum(arrival, self.end - 1)
                values = again["value"]
                if kind == Kind.CONFLICTING:
                    values = pl.Series("value", [vandal.contradict(value) for value in values], pl.Binary)
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
        spoiled = []
        for value, kind, chance in zip(records["value"], records["kind"], random.random(len(records)), strict=True):
            if kind == Kind.BROKEN:
                spoiled.append(vandal.break_json(value, chance))
            elif kind == Kind.CONTRACT:
                spoiled.append(vandal.breach(CONTRACTS[topic], value, chance))
            else:
                spoiled.append(vandal.Spoiled(vandal.add_field(topic, value, chance), None))
        return records.with_columns(
            value=pl.Series([result.value for result in spoiled], dtype=pl.Binary),
            reason=pl.Series([result.reason for result in spoiled], dtype=pl.String),
        )
