"""Closed days: what is too old to change soon lies in immutable Parquet files, one per fact and day.

The warehouse's file is what gets published, whole, at every refresh, so it must stay small. The native table
`work.<fact>` holds recent days; `work.closed_days` names the file of each closed one; the view `gold.<fact>` is both.
A file is never changed: a day that must be is taken back (`reopen`) and written anew under another name when it is
closed again. Files that no publication names any more are removed after a grace, so that readers can finish.
"""

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from warehouse.connection import columns_of, quoted
from warehouse.models import Model

FOLDER = "days"
CREATE = "create table if not exists work.closed_days (fact varchar, date_key integer, file varchar, rows bigint)"

_COPY = "format parquet, compression snappy, parquet_version v2"


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Closed days of all facts below `folder`. Statements run in the caller's transaction."""

    connection: duckdb.DuckDBPyConnection
    folder: Path

    def keys(self, fact: str) -> set[int]:
        """Days of the fact that are closed."""
        found = self.connection.execute("select date_key from work.closed_days where fact = $1", [fact]).fetchall()
        return {key for (key,) in found}

    def last_keys(self) -> dict[str, int]:
        """The last closed day of each fact that has one."""
        return dict(
            self.connection.execute("select fact, max(date_key) from work.closed_days group by fact").fetchall()
        )

    def reopen(self, fact: str, keys: Iterable[int]) -> int:
        """Takes days back into the native table; returns how many were closed."""
        wanted = sorted(set(keys) & self.keys(fact))
        for key, path in self._files(fact, wanted):
            self.connection.execute(
                f"insert into work.{fact} by name select *, {key}::integer as date_key"
                f" from read_parquet('{quoted(path)}', hive_partitioning = false)"
            )
        if wanted:
            self._forget(fact, wanted)
            self.show(fact)
        return len(wanted)

    def close(self, fact: str, before: date, version: int) -> int:
        """Writes native days before a day as files named by `version`; returns how many."""
        key_before = before.year * 10000 + before.month * 100 + before.day
        rows = self.connection.execute(
            f"select date_key, count(*) from work.{fact} where date_key < $1 group by all order by all", [key_before]
        ).fetchall()
        if not rows:
            return 0
        # Rows can be added to a closed day without reopening it; its file is rewritten with them.
        self.reopen(fact, [key for key, _ in rows])
        for key, _ in rows:
            path = self.folder / fact / f"date_key={key}" / f"{version}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection.execute(
                f"copy (select * exclude (date_key) from work.{fact} where date_key = {key})"
                f" to '{quoted(path)}' ({_COPY})"
            )
        self.connection.execute(f"delete from work.{fact} where date_key < $1", [key_before])
        self.connection.execute(
            "insert into work.closed_days"
            f" select $1, date_key, '{fact}/date_key=' || date_key || '/{version}.parquet', rows"
            " from (select unnest($2::integer[]) as date_key, unnest($3::bigint[]) as rows)",
            [fact, [key for key, _ in rows], [count for _, count in rows]],
        )
        self.show(fact)
        return len(rows)

    def show(self, fact: str) -> None:
        """Puts the view over native and closed days in place; paths in it are absolute."""
        columns = ", ".join(columns_of(self.connection, f"work.{fact}"))
        paths = [path for _, path in self._files(fact, sorted(self.keys(fact)))]
        sql = f"create or replace view gold.{fact} as select {columns} from work.{fact}"
        if paths:
            files = ", ".join(f"'{quoted(path)}'" for path in paths)
            # the day is in the path, so that a reader of one day opens one file
            sql += (
                f" union all select {columns} from read_parquet([{files}],"
                " hive_partitioning = true, hive_types = {'date_key': integer})"
            )
        self.connection.execute(sql)

    def sweep(self, grace: float) -> int:
        """Removes files that no closed day names and that are older than `grace` seconds; returns how many.

        A file's age starts when it fell out of use: dropping a day touches its file.
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

    def _files(self, fact: str, keys: Sequence[int]) -> list[tuple[int, Path]]:
        rows = self.connection.execute(
            "select date_key, file from work.closed_days where fact = $1 and date_key in (select unnest($2::integer[]))"
            " order by date_key",
            [fact, list(keys)],
        ).fetchall()
        return [(key, self.folder / file) for key, file in rows]

    def _forget(self, fact: str, keys: Sequence[int]) -> None:
        for _, path in self._files(fact, keys):
            path.touch()
        self.connection.execute(
            "delete from work.closed_days where fact = $1 and date_key in (select unnest($2::integer[]))",
            [fact, list(keys)],
        )


def is_split(model: Model) -> bool:
    """Whether the model's days can be closed: facts, which grow for ever."""
    return model.name.startswith("fct_")


def table_of(model: Model) -> str:
    """The native table that a model is kept in."""
    return f"work.{model.name}" if is_split(model) else model.full_name
