"""Closed days: old days, which seldom change, are in immutable Parquet files, one per table and day.

Every publication copies the warehouse's file as a whole, so the file must stay small. For a model with the directive
`split  date_key`, the table `work.<name>` holds the open days and the rows whose date_key is null. `work.closed_days`
names the file of each closed day, and the view with the model's name reads both.
A file never changes. A closed day that has to change is reopened (`reopen`) and later closed to another file. Files
that no publication names are removed after a grace period, which lets readers finish.
"""

import contextlib
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from warehouse.registry import Model
from warehouse.storage.connection import columns_of, quoted

FOLDER = "days"
CREATE = "create table if not exists work.closed_days (name varchar, date_key integer, file varchar, rows bigint)"

_COPY = "format parquet, compression snappy, parquet_version v2"


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """The closed days of all tables, below `folder`. Statements run in the caller's transaction."""

    connection: duckdb.DuckDBPyConnection
    folder: Path

    def keys(self, name: str) -> set[int]:
        """The closed days of a table."""
        found = self.connection.execute("select date_key from work.closed_days where name = $1", [name]).fetchall()
        return {key for (key,) in found}

    def last_keys(self) -> dict[str, int]:
        """The last closed day of each table that has one."""
        return dict(
            self.connection.execute("select name, max(date_key) from work.closed_days group by name").fetchall()
        )

    def reopen(self, model: Model, keys: Iterable[int]) -> int:
        """Moves days back to the table of open days. Returns how many were closed."""
        wanted = sorted(set(keys) & self.keys(model.name))
        for key, path in self._files(model.name, wanted):
            self.connection.execute(
                f"insert into work.{model.name} by name select *, {key}::integer as date_key"
                f" from read_parquet('{quoted(path)}', hive_partitioning = false)"
            )
        if wanted:
            self._forget(model.name, wanted)
            self.refresh_view(model)
        return len(wanted)

    def close(self, model: Model, before: date, version: int) -> int:
        """Writes the open days before a day to files named by `version` and a random token. Returns how many."""
        name, run = model.name, self.connection.execute
        key_before = key_of(before)
        rows = run(
            f"select date_key, count(*) from work.{name} where date_key < $1 group by all order by all", [key_before]
        ).fetchall()
        if not rows:
            return 0
        # An open day may hold rows added to a day that is closed; its file is replaced by one with all rows.
        self.reopen(model, [key for key, _ in rows])
        # versions restart with a rebuild, and a reader of an older publication must not find other rows
        token = secrets.token_hex(4)
        files = [f"{name}/date_key={key}/{version}-{token}.parquet" for key, _ in rows]
        for (key, _), file in zip(rows, files, strict=True):
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            run(
                f"copy (select * exclude (date_key) from work.{name} where date_key = {key})"
                f" to '{quoted(path)}' ({_COPY})"
            )
        run(f"delete from work.{name} where date_key < $1", [key_before])
        run(
            "insert into work.closed_days"
            " select $1, unnest($2::integer[]), unnest($3::varchar[]), unnest($4::bigint[])",
            [name, [key for key, _ in rows], files, [number for _, number in rows]],
        )
        self.refresh_view(model)
        return len(rows)

    def refresh_view(self, model: Model) -> None:
        """Creates or replaces the view over open and closed days. Its paths are absolute."""
        columns = ", ".join(columns_of(self.connection, f"work.{model.name}"))
        paths = [path for _, path in self._files(model.name, sorted(self.keys(model.name)))]
        sql = f"create or replace view {model.full_name} as select {columns} from work.{model.name}"
        if paths:
            files = ", ".join(f"'{quoted(path)}'" for path in paths)
            # the day is part of the path: a reader of one day opens one file
            sql += (
                f" union all select {columns} from read_parquet([{files}],"
                " hive_partitioning = true, hive_types = {'date_key': integer})"
            )
        self.connection.execute(sql)

    def restart_grace_period(self) -> None:
        """Restarts the grace period of every file, because the next publication drops many of them."""
        for path in self.folder.glob("*/*/*.parquet"):
            path.touch()

    def sweep(self, grace: float) -> int:
        """Removes files that no closed day has named for `grace` seconds. Returns how many.

        Dropping a day touches its file, so the age of the file is the time since.
        """
        if not self.folder.is_dir():
            return 0
        named = {file for (file,) in self.connection.execute("select file from work.closed_days").fetchall()}
        removed = 0
        for path in self.folder.glob("*/*/*.parquet"):
            with contextlib.suppress(FileNotFoundError):
                if str(path.relative_to(self.folder)) not in named and time.time() - path.stat().st_mtime > grace:
                    path.unlink()
                    removed += 1
        return removed

    def _files(self, name: str, keys: Sequence[int]) -> list[tuple[int, Path]]:
        rows = self.connection.execute(
            "select date_key, file from work.closed_days where name = $1 and date_key in (select unnest($2::integer[]))"
            " order by date_key",
            [name, list(keys)],
        ).fetchall()
        return [(key, self.folder / file) for key, file in rows]

    def _forget(self, name: str, keys: Sequence[int]) -> None:
        for _, path in self._files(name, keys):
            path.touch()
        self.connection.execute(
            "delete from work.closed_days where name = $1 and date_key in (select unnest($2::integer[]))",
            [name, list(keys)],
        )


def key_of(day: date) -> int:
    """The `date_key` of a day, as `to_date_key` in SQL."""
    return day.year * 10000 + day.month * 100 + day.day


def is_split(model: Model) -> bool:
    """Whether days of the model can be closed."""
    return "split" in model.header


def table_of(model: Model) -> str:
    """The table that a model is written to."""
    return f"work.{model.name}" if is_split(model) else model.full_name
