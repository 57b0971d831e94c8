"""When days are closed, that is moved from the warehouse's file to Parquet files (`closed_days.py`), and which."""

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from warehouse.registry import registry
from warehouse.storage.closed_days import ClosedDays, is_split
from warehouse.storage.publication_policy import is_catch_up

MAX_CATCH_UP_ROWS = 8_000_000  # rows of open days that a catch-up may leave
LOOK_EVERY = 64  # refreshes until late rows may again have left old open days
DAYS_AT_ONCE = 8  # after a small refresh or when idle; a day takes 0.1-0.3 s and a catch-up may leave years
_UNKNOWN = 1 << 62


@dataclass(slots=True)
class DayArchiver:
    """Closes days older than the last `open_days` days once open days hold more than `max_open_rows` rows of facts.

    A catch-up, whose refreshes are large and few, closes none until `MAX_CATCH_UP_ROWS`.
    """

    max_open_rows: int
    open_days: int
    _open_rows: int = _UNKNOWN  # an upper bound, counted when it exceeds the limit
    nothing_older: tuple[date, int] = (date.min, 0)  # the first open day, and the refresh that found no older open day

    def add_rows(self, rows: int) -> None:
        """Records that a refresh wrote so many rows of models whose days can be closed."""
        self._open_rows += rows

    def due_after(self, connection: duckdb.DuckDBPyConnection, refresh_id: int, rows: int) -> date | None:
        """The day before which to close days after a refresh of so many silver rows; None to close none."""
        if is_catch_up(rows) or not rows:
            return self._due(connection, refresh_id, max(self.max_open_rows, MAX_CATCH_UP_ROWS), None)
        return self.due_when_idle(connection, refresh_id)

    def due_when_idle(self, connection: duckdb.DuckDBPyConnection, refresh_id: int) -> date | None:
        """The same for an idle run, and of many days the first `DAYS_AT_ONCE`."""
        return self._due(connection, refresh_id, self.max_open_rows, DAYS_AT_ONCE)

    def close_before(self, closed: ClosedDays, before: date, refresh_id: int) -> bool:
        """Closes the days before a day, in the caller's transaction. Returns whether there were any."""
        count = sum(closed.close(model, before, refresh_id) for model in registry() if is_split(model))
        if not count:
            self.nothing_older = (before, refresh_id)
        return bool(count)

    def _due(
        self, connection: duckdb.DuckDBPyConnection, refresh_id: int, max_rows: int, max_days: int | None
    ) -> date | None:
        run = connection.execute
        if self._open_rows <= max_rows:
            return None
        ((last_date,),) = run("select last_date from ops.gold_clock").fetchall()
        if last_date is None:  # there are no facts
            return None
        before: date = last_date - timedelta(self.open_days - 1)
        is_known = self.nothing_older[0] == before and refresh_id < self.nothing_older[1] + LOOK_EVERY
        if max_days is not None and is_known:
            return None
        names = [model.name for model in registry() if is_split(model)]
        counts = " + ".join(f"(select count(date_key) from work.{name})" for name in names)
        ((self._open_rows,),) = run(f"select {counts}").fetchall()
        if self._open_rows <= max_rows:
            return None
        if max_days is not None:
            keys = " union ".join(f"select date_key from work.{name}" for name in names)
            ((newest,),) = run(
                f"select from_date_key(max(date_key)) from (from ({keys}) where date_key < to_date_key($1)"
                " order by date_key limit $2)",
                [before, max_days],
            ).fetchall()
            before = before if newest is None else newest + timedelta(1)
        return before
