"""Events as the world means them, before dirt and delay, and what is still to happen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from producers.randomness import Bools, Ints
from producers.text import clock, join


@dataclass(frozen=True, slots=True)
class Draft:
    """Events of one topic, in columns of one length. Money is in cents; `amount`, `units`, `extra` are what they add.

    pos-transactions: net sales, units, 0. cinema-sales: ticket revenue, seats, concessions. Returns and cancellations
    are negative. Other topics: 0.
    """

    topic: str
    event_id: pl.Series
    event_type: pl.Series
    event_time: Ints  # milliseconds since 1970
    key: pl.Series
    rest: pl.Series  # JSON text after the three common fields, closing brace included
    caused: Bools  # follows from another event, so it must not move back in time
    amount: Ints
    units: Ints
    extra: Ints

    def __len__(self) -> int:
        """How many events."""
        return len(self.event_time)

    def values(self, event_time: Ints) -> pl.Series:
        """The JSON of every event, as if it had happened at that time."""
        head: Sequence[str | pl.Series] = [
            '{"event_id":"', self.event_id, '","event_type":"', self.event_type, '","event_time":"',
        ]  # fmt: skip
        return join([*head, *clock(event_time), '",', self.rest], len(self))

    def rows(self, begin: int, end: int, event_time: Ints) -> "Draft":
        """Some of the events, with new times."""
        columns = (self.event_id, self.event_type, self.key, self.rest)
        event_id, event_type, key, rest = (column.slice(begin, end - begin) for column in columns)
        part = slice(begin, end)
        return Draft(
            self.topic, event_id, event_type, event_time, key, rest,
            self.caused[part], self.amount[part], self.units[part], self.extra[part],
        )  # fmt: skip


def plain(
    topic: str, event_id: pl.Series, event_type: pl.Series, event_time: Ints, key: pl.Series, rest: pl.Series,
    *, caused: bool,
) -> Draft:  # fmt: skip
    """A draft of a topic that has no money to add up."""
    nothing = np.zeros(len(event_time), np.int64)
    return Draft(
        topic, event_id, event_type, event_time, key, rest, np.full(len(nothing), caused), nothing, nothing, nothing
    )


@dataclass(slots=True)
class Due:
    """What will happen later, as rows with a column `due_at`; the soonest `limit` are remembered."""

    limit: int = 150_000
    _rows: pl.DataFrame | None = None
    _inbox: list[pl.DataFrame] = field(default_factory=list)
    _soonest: int = 2**62

    def add(self, rows: pl.DataFrame) -> None:
        """Remember these."""
        if len(rows):
            self._inbox.append(rows)
            self._soonest = min(self._soonest, int(rows["due_at"].min()))  # type: ignore[arg-type]

    def take(self, before: int) -> pl.DataFrame | None:
        """All that is due before that time, soonest first; None where nothing is. It is forgotten here."""
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
    """Running numbers that make ids unique: `tag` names the world and its size, so that two runs never share one."""

    tag: str
    _used: dict[str, int] = field(default_factory=dict)

    def take(self, kind: str, count: int) -> Ints:
        """The next `count` numbers of a kind."""
        first = self._used.get(kind, 0) + 1
        self._used[kind] = first + count - 1
        return np.arange(first, first + count)
