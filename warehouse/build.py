"""The one writer of gold: refreshes, each one transaction over all tables, and what is published after each."""

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.changes import SilverChanges
from pipelines.faults import fault_point
from warehouse import publish
from warehouse.connection import columns_of, connect, quoted
from warehouse.days import CREATE, FOLDER, ClosedDays
from warehouse.models import HERE, of_kind, registry
from warehouse.refresh import Refresh

__all__ = ["Refreshed", "SilverChanges", "Warehouse", "rebuild"]

WORK = "writer.duckdb"  # no schema may be named like the file, which names the catalog
SEEDS = HERE / "seeds"
_SEED_COLUMNS: Mapping[str, str] = {
    "stores": "store_id, name, city, country, opened_on",
    "theaters": "theater_id, name, city, seats",
    "suppliers": "supplier_id, name, country, lead_time_days",
    "warehouses": "warehouse_id, name, city, country",
}
_KEEP_REFRESHES = 10_000


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did. `rows_changed` counts rows written by table, `seconds` the time by step."""

    refresh_id: int
    rows_changed: Mapping[str, int]
    restatements: int
    seconds: Mapping[str, float]
    published: bool


class Warehouse:
    """Gold in `<gold_dir>/writer.duckdb`, published as `<gold_dir>/animeverse.duckdb`. Use it from one thread at a time.

    Days older than `open_days` before the last one are moved to Parquet files once facts exceed `native_rows` rows;
    files that fell out of use are removed after `grace` seconds. Work that other models made is thrown away: then
    `reflected` is empty, and the next refresh has to bring everything.
    """

    def __init__(
        self,
        gold_dir: Path,
        seeds: Path | None = None,
        *,
        native_rows: int = 500_000,
        open_days: int = 3,
        grace: float = 600.0,
        memory_limit: str = "2GB",
        threads: int | None = None,
    ) -> None:
        self.gold_dir = gold_dir.absolute()
        self._seeds = SEEDS if seeds is None else seeds
        self._native_rows, self._open_days, self._grace = native_rows, open_days, grace
        self._memory_limit, self._threads = memory_limit, threads
        self.gold_dir.mkdir(parents=True, exist_ok=True)
        self._open()

    def reflected(self) -> Mapping[str, int]:
        """Silver snapshots of the last refresh; {} when there is none."""
        if self._last == 0:
            return {}
        rows = self._connection.execute(
            "select silver_snapshots from gold.refreshes where refresh_id = $1", [self._last]
        ).fetchall()
        return dict(rows[0][0])

    def refresh(self, changes: SilverChanges, now: datetime) -> Refreshed:
        """Takes new silver rows into gold and publishes.

        Raises CheckFailedError with nothing changed. After any other error nothing is changed, either, and the same
        rows may be brought again.
        """
        began = time.perf_counter()
        run = self._connection.execute
        run("begin")
        try:
            refresh = Refresh(self._connection, self._closed, self._last + 1, now, is_first=self._last == 0)
            if refresh.is_first:
                run("create schema if not exists work")
                run(CREATE)
            refresh.run(changes)
            if refresh.is_first:
                self._note()
            if refresh.refresh_id % 1000 == 0:
                run("delete from gold.refreshes where refresh_id <= $1", [refresh.refresh_id - _KEEP_REFRESHES])
                run("delete from ops.gold_warnings where refresh_id <= $1", [refresh.refresh_id - _KEEP_REFRESHES])
            committing = time.perf_counter()
            fault_point("gold.refreshed")
            run("commit")
            fault_point("gold.committed")
        except BaseException:
            self._roll_back()
            raise
        self._last = refresh.refresh_id
        refresh.seconds["commit"] = time.perf_counter() - committing
        publishing = time.perf_counter()
        self._close_days()
        refresh.seconds["close_days"] = time.perf_counter() - publishing
        self._publish(refresh.seconds)
        fault_point("gold.published")
        refresh.seconds["total"] = time.perf_counter() - began
        changed = {name: rows for name, rows in refresh.changed.items() if rows}
        return Refreshed(refresh.refresh_id, changed, refresh.restated, refresh.seconds, published=True)

    def reset(self) -> None:
        """Forgets all, so that the next refresh builds from nothing. What is published stays until then."""
        self.close()
        for name in (WORK, f"{WORK}.wal"):
            (self.gold_dir / name).unlink(missing_ok=True)
        self._open()

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()
        os.close(self._descriptor)

    # opening

    def _open(self) -> None:
        file = self.gold_dir / WORK
        file.touch()
        if file.stat().st_size == 0:
            file.unlink()
            connect(file, memory_limit=self._memory_limit).close()
        # before DuckDB: see publish.replace
        self._descriptor = os.open(file, os.O_RDONLY)
        try:
            self._connection = connect(file, memory_limit=self._memory_limit, threads=self._threads)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._closed = ClosedDays(self._connection, self.gold_dir / FOLDER)
        self._last = self._last_refresh()
        if self._last and self._noted() != self._expected():
            self.reset()
            return
        self._load_seeds()
        if self._last:
            self._moved_home()
            if publish.published_refresh(self.gold_dir / publish.PUBLISHED) != self._last:
                self._publish({})

    def _last_refresh(self) -> int:
        tables = "select 1 from duckdb_tables() where schema_name = 'gold' and table_name = 'refreshes'"
        if not self._connection.execute(tables).fetchall():
            return 0
        return self._connection.execute("select coalesce(max(refresh_id), 0) from gold.refreshes").fetchall()[0][0]

    def _load_seeds(self) -> None:
        for name, columns in _SEED_COLUMNS.items():
            file = self._seeds / f"{name}.csv"
            empty = " union all ".join(["select " + ", ".join(f"null::varchar as {c}" for c in columns.split(", "))])
            self._connection.execute(f"create or replace temp table seeds_{name} as {empty} limit 0")
            if file.exists():
                self._connection.execute(
                    f"insert into temp.seeds_{name} by name"
                    f" select {columns} from read_csv('{quoted(file)}', all_varchar = true, header = true)"
                )

    def _expected(self) -> dict[str, str]:
        """What the work file must have been made by: models and seeds, and DuckDB's own format."""
        digest = hashlib.sha256()
        for model in registry():
            digest.update(f"{model.full_name}\n{sorted(model.header.items())}\n{model.sql}\n".encode())
        for name in _SEED_COLUMNS:
            file = self._seeds / f"{name}.csv"
            digest.update(file.read_bytes() if file.exists() else b"-")
        return {"models": digest.hexdigest()}

    def _note(self) -> None:
        self._connection.execute("create or replace table work.made_by (name varchar, value varchar)")
        for name, value in {**self._expected(), "gold_dir": str(self.gold_dir)}.items():
            self._connection.execute("insert into work.made_by values ($1, $2)", [name, value])

    def _noted(self) -> dict[str, str]:
        rows = self._connection.execute("select name, value from work.made_by where name <> 'gold_dir'").fetchall()
        return dict(rows)

    def _moved_home(self) -> None:
        """Paths in views are absolute; they follow when the home was moved."""
        place = self._connection.execute("select value from work.made_by where name = 'gold_dir'").fetchall()
        if place != [(str(self.gold_dir),)]:
            for model in of_kind("fact", "days"):
                if self._closed.keys(model.name):
                    self._closed.show(model.name)
            self._connection.execute("update work.made_by set value = $1 where name = 'gold_dir'", [str(self.gold_dir)])
            self._publish({})

    # after the commit

    def _roll_back(self) -> None:
        try:
            self._connection.execute("rollback")
        except duckdb.Error:
            # the connection cannot be trusted any more; the file holds the last commit
            self.close()
            self._open()

    def _close_days(self) -> None:
        """Moves old days to files when there are too many native rows."""
        run = self._connection.execute
        facts = [model.name for model in (*of_kind("fact"), *of_kind("days")) if model.name.startswith("fct_")]
        sizes = run(
            "select table_name, estimated_size from duckdb_tables() where schema_name = 'work' and table_name like 'fct_%'"
        ).fetchall()
        if sum(rows for _, rows in sizes) <= self._native_rows:
            return
        last = run("select last_date from ops.gold_clock").fetchall()[0][0]
        run("begin")
        try:
            closed = sum(self._closed.close(fact, last - timedelta(self._open_days - 1), self._last) for fact in facts)
            run("commit")
        except BaseException:
            self._roll_back()
            raise
        if closed:
            self._closed.sweep(self._grace)

    def _publish(self, seconds: dict[str, float]) -> None:
        began = time.perf_counter()
        publish.checkpoint(self._connection)
        seconds["checkpoint"] = time.perf_counter() - began
        began = time.perf_counter()
        publish.replace(self._descriptor, self.gold_dir / publish.PUBLISHED)
        seconds["copy"] = time.perf_counter() - began


def rebuild(
    changes: SilverChanges, into: Path, now: datetime, *, seeds: Path | None = None, memory_limit: str = "2GB"
) -> Refreshed:
    """The warehouse of these rows alone in one new file, which replaces `into`: a refresh from nothing.

    For `--as-of` the caller leaves out rows that arrived later. All days are native, so the file stands alone.
    """
    folder = into.with_name(f".{into.name}.building")
    shutil.rmtree(folder, ignore_errors=True)
    warehouse = Warehouse(folder, seeds, native_rows=1 << 62, memory_limit=memory_limit)
    try:
        done = warehouse.refresh(changes, now)
    finally:
        warehouse.close()
    (folder / publish.PUBLISHED).replace(into)
    shutil.rmtree(folder)
    return done
