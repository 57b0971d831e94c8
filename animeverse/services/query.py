"""A read-only DuckDB session over all layers.

Gold, marts and ops come from the published file, which is attached read-only. Bronze, silver and ops come from Iceberg
as Polars scans, registered as views of the session only when SQL names them. Schemas are found through the search
path, so both `ops.refreshes` (published file) and `ops.batches` (Iceberg) resolve.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import duckdb

from animeverse.services.read_only_sql import query_text
from pipelines.config.settings import Settings
from pipelines.duckdb_sandbox import connect as connect_offline
from pipelines.duckdb_sandbox import lock
from pipelines.errors import NoLakehouseError, StoreUnavailableError, UsageError
from warehouse.storage.published import files_of_closed_days, readable

LAKE_SCHEMAS = ("bronze", "silver", "ops")
_PUBLISHED = "lakehouse"
_CHUNK = 10_000  # rows
_WATERMARKS = "ops.watermarks"  # not a table: computed from the state that silver stores
_RULE_COUNTS, _GOLD_RULE_COUNTS = "ops.rule_counts", "ops.gold_rule_counts"  # of silver, of gold (R10)
_LAKE_NAME = re.compile(r"""\b(bronze|silver|ops)"?\s*\.\s*"?(\w+)""", re.IGNORECASE)
_GOLD_NAME = re.compile(r"""\b(gold|marts)"?\s*\.""", re.IGNORECASE)
_LISTS_TABLES = re.compile(
    r"^\s*(show|describe)\b|\b(information_schema|duckdb_(tables|views|columns))\b", re.IGNORECASE
)
_NO_PAST_GOLD = (
    "\n--as-of reads bronze, silver and ops only. To build gold as of a time: "
    "`animeverse rebuild gold --as-of TIME --into FILE`."
)


@dataclass(frozen=True, slots=True)
class Result:
    """Columns by name and type, and the rows as Python values.

    Rows can be read once, and before the session's next query.
    """

    names: Sequence[str]
    types: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


class Session:
    """A connection that answers queries on one publication of gold. Close it, or use it in a `with` statement."""

    def __init__(self, settings: Settings, as_of: datetime | None = None, *, sandboxed: bool = True) -> None:
        """Open the published file. Raises NoLakehouseError and StoreUnavailableError.

        With `as_of`, bronze, silver and ops are read as of that time by Iceberg time travel, and gold is not available.
        Unless `sandboxed` is False, SQL reaches no file but those of gold.
        """
        published = settings.published_path
        self._settings, self._as_of = settings, as_of
        self._lake: Any = None
        self._available: set[str] = set()  # full names of tables that need no new view
        self._lake_names: frozenset[str] | None = None
        self._publication = publication_id(settings) if as_of is None else None
        if self._publication is None and settings.is_catalog_missing:
            raise NoLakehouseError(
                f"there is no lakehouse in {settings.home}: try `animeverse demo`, or set ANIMEVERSE_HOME to its folder"
            )
        self._connection, self._files = connect_offline(), contextlib.ExitStack()
        paths, files = ["memory.main"], []
        if self._publication is not None:
            try:
                readable_file = self._files.enter_context(readable(published))
                self._connection.execute(f"attach {sql_literal(str(readable_file))} as {_PUBLISHED} (read_only)")
                files = files_of_closed_days(self._connection, _PUBLISHED, published.parent)
            except duckdb.Error as error:
                self.close()
                raise StoreUnavailableError(f"{published} cannot be read: {_first_line(error)}") from None
            schemas = self._connection.execute(
                "select schema_name from duckdb_schemas() where database_name = ? and not internal", [_PUBLISHED]
            ).fetchall()
            paths += [f"{_PUBLISHED}.{schema}" for (schema,) in schemas]
            self._available |= {f"{schema}.{name}" for schema, name in self._published_tables()}
        for schema in LAKE_SCHEMAS:
            self._connection.execute(f"create schema memory.{schema}")
        paths += [f"memory.{schema}" for schema in LAKE_SCHEMAS]
        self._connection.execute(f"set search_path = {sql_literal(','.join(paths))}")
        if sandboxed:
            lock(self._connection, files=files)
        else:
            self._connection.execute("set lock_configuration = true")

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Close the published file and the catalog."""
        self._connection.close()
        self._files.close()
        if self._lake is not None:
            self._lake.close()

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Register all tables and return the connection. Closing the connection closes the session."""
        self._register(None)
        if self._lake is not None:
            self._lake.close()  # the registered scans read files and do not need the catalog
        return self._connection

    def is_stale(self) -> bool:
        """Return whether gold has been published again since the session opened it."""
        return publication_id(self._settings) != self._publication

    def run(self, sql: str) -> Result:
        """Run the single query in `sql`. Raises UsageError when it is not a query or DuckDB rejects it."""
        try:
            cursor = self._execute(query_text(self._connection, sql))
            columns = cursor.description or []
        except duckdb.Error as error:
            is_past = self._as_of is not None and isinstance(error, duckdb.CatalogException)
            raise UsageError(str(error).strip() + (_NO_PAST_GOLD if is_past else "")) from None
        return Result([str(column[0]) for column in columns], [str(column[1]) for column in columns], _rows(cursor))

    def tables(self) -> list[tuple[str, str]]:
        """Return schema and name of every table that can be read."""
        lake = [tuple(name.split(".", 1)) for name in self._names()]
        return sorted({(str(schema), str(name)) for schema, name in [*self._published_tables(), *lake]})

    def _published_tables(self) -> list[tuple[str, str]]:
        tables = self._connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = ? "
            "union all select schema_name, view_name from duckdb_views() where database_name = ? and not internal",
            [_PUBLISHED, _PUBLISHED],
        ).fetchall()
        return [(str(schema), str(name)) for schema, name in tables]

    @staticmethod
    def split(sql: str) -> list[str]:
        """Split `sql` into statements. Raises UsageError when it is not SQL."""
        try:
            return [str(statement.query) for statement in duckdb.extract_statements(sql)]
        except duckdb.Error as error:
            raise UsageError(str(error).strip()) from None

    def _execute(self, statement: str) -> Any:
        named = {f"{m[1]}.{m[2]}".lower() for m in _LAKE_NAME.finditer(statement)}
        self._register(None if not named and _LISTS_TABLES.search(statement) else named)
        try:
            return self._connection.execute(statement)
        except duckdb.CatalogException:
            # The name has no schema or does not exist: register all tables and let DuckDB resolve it.
            if self._register(None):
                return self._execute(statement)
            if self._publication is None and self._as_of is None and _GOLD_NAME.search(statement):
                raise NoLakehouseError(
                    "there is no gold, because nothing is published yet: try `animeverse run`"
                ) from None
            raise

    def _register(self, names: set[str] | None) -> bool:
        """Register Iceberg tables as views of the session; None registers all. Returns whether there were new ones."""
        if names is not None:
            names -= self._available
            if not names:
                return False
        has_new = False
        for name in sorted(name for name in self._names() - self._available if names is None or name in names):
            schema, table = name.split(".", 1)
            frame = self._read(name) if self._as_of is None else self._read_past(name, self._as_of)
            if frame is None and names is None:
                continue  # not requested by name
            if frame is None:
                raise UsageError(
                    f"{name} has no snapshot as of {self._as_of}: see `animeverse status` and ANIMEVERSE_KEEP_DAILY"
                )
            self._connection.register(f"__{schema}__{table}", frame)
            more = ""
            if name == _RULE_COUNTS and _GOLD_RULE_COUNTS in self._available:
                counts = f"select * from {_PUBLISHED}.{_GOLD_RULE_COUNTS} where rows > 0"
                more = f" union all by name {counts}"  # counted over all history, so without a batch_id
            self._connection.execute(
                f'create view memory.{schema}."{table}" as select * from "__{schema}__{table}"{more}'
            )
            self._available.add(name)
            has_new = True
        return has_new

    def _read(self, name: str) -> Any:
        if name == _WATERMARKS:
            from pipelines.silver.watermark_table import watermark_rows

            return watermark_rows(self._lake)
        return self._lake.scan(name)

    def _read_past(self, name: str, moment: datetime) -> Any:
        """Return the table's rows at a moment; None when no snapshot is that old."""
        return None if name == _WATERMARKS else self._lake.table(name).scan_at(moment)

    def _names(self) -> frozenset[str]:
        """Return the full names of all Iceberg tables; empty without a catalog."""
        if self._lake_names is None:
            if self._settings.is_catalog_missing:
                return frozenset()
            # PyIceberg takes over a second to import, and gold does not need it.
            from pipelines.lake.open_lake import open_for_reading

            self._lake = open_for_reading(self._settings)
            tables = {name for name in self._lake.names() if name.startswith(LAKE_SCHEMAS)}
            self._lake_names = frozenset(tables | {_WATERMARKS} if tables else tables)
        return self._lake_names


def publication_id(settings: Settings) -> tuple[int, int] | None:
    """Return a value that changes with each publication of gold; None when nothing is published."""
    with contextlib.suppress(FileNotFoundError):
        status = settings.published_path.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def sql_literal(text: str) -> str:
    """Return the text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _rows(cursor: Any) -> Iterator[tuple[Any, ...]]:
    try:
        while chunk := cursor.fetchmany(_CHUNK):
            yield from chunk
    except duckdb.Error as error:
        raise UsageError(str(error).strip()) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
