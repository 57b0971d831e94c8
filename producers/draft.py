"""Events before faults and delays, scheduled future events, and id sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from producers.randomness import Bools, Ints
from producers.text import clock, join


@dataclass(frozen=True, slots=True)
class Draft:
    """Events of one topic, in columns of one length. Money is in cents.

    `amount`, `units` and `extra` are: net sales, units, 0 in pos-transactions; ticket revenue, seats, concessions in
    cinema-sales; 0 in other topics. Returns and cancellations are negative.
    """

    topic: str
    event_id: pl.Series
    event_type: pl.Series
    event_time: Ints  # milliseconds since 1970
    key: pl.Series
    rest: pl.Series  # JSON text after the three common fields, closing brace included
    caused: Bools  # depends on an earlier event, so its time must not be moved back
    amount: Ints
    units: Ints
    extra: Ints

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.event_time)

    def values(self, event_time: Ints) -> pl.Series:
        """Return the JSON of each event with these event times."""
        head: Sequence[str | pl.Series] = [
            '{"event_id":"', self.event_id, '","event_type":"', self.event_type, '","event_time":"',
        ]  # fmt: skip
        return join([*head, *clock(event_time), '",', self.rest], len(self))

    def rows(self, begin: int, end: int, event_time: Ints) -> "Draft":
        """Return the events `begin` to `end` (exclusive) with new times."""
        columns = (self.event_id, self.event_type, self.key, self.rest)
        event_id, event_type, key, rest = (column.slice(begin, end - begin) for column in columns)
        part = slice(begin, end)
        return Draft(
            self.topic, event_id, event_type, event_time, key, rest,
            self.caused[part], self.amount[part], self.units[part], self.extra[part],
        )  # fmt: skip


def draft_of(
    topic: str, event_id: pl.Series, event_type: pl.Series, event_time: Ints, key: pl.Series, rest: pl.Series,
    *, caused: bool,
) -> Draft:  # fmt: skip
    """Return a draft of a topic without amounts."""
    nothing = np.zeros(len(event_time), np.int64)
    return Draft(
        topic, event_id, event_type, event_time, key, rest, np.full(len(nothing), caused), nothing, nothing, nothing
    )


@dataclass(slots=True)
class DueQueue:
    """Scheduled events as rows with a column `due_at`. Keeps the `limit` earliest rows."""

    limit: int = 150_000
    _rows: pl.DataFrame | None = None
    _inbox: list[pl.DataFrame] = field(default_factory=list)
    _soonest: int = 2**62

    def add(self, rows: pl.DataFrame) -> None:
        """Schedule these rows."""
        if len(rows):
            self._inbox.append(rows)
            self._soonest = min(self._soonest, int(rows["due_at"].min()))  # type: ignore[arg-type]

    def take(self, before: int) -> pl.DataFrame | None:
        """Remove and return the rows due before that time, earliest first; None if there are none."""
        if before <= self._soonest:
            return None
        waiting = [*([] if self._rows is None else [self._rows]), *self._inbox]
        rows = pl.concat(waiting).sort("due_at", maintain_order=True).head(self.limit)
        count = int(rows["due_at"].search_sorted(before))
        self._rows, self._inbox = rows.slice(count), []
        self._soonest = int(self._rows["due_at"][0]) if len(self._rows) else 2**62
        return rows.head(count) if count else None


@dataclass(slots=True)
class Ids:
    """Id sequences. `tag` identifies the world and its parameters, so two different worlds share no id."""

    tag: str
    _used: dict[str, int] = field(default_factory=dict)

    def take(self, kind: str, count: int) -> Ints:
        """Return the next `count` numbers of a kind."""
        first = self._used.get(kind, 0) + 1
        self._used[kind] = first + count - 1
        return np.arange(first, first + count)
