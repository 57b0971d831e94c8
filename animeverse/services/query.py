"""One DuckDB session over everything: gold, marts and ops from the published file, bronze, silver and ops from Iceberg.

It only reads. The published file is attached read-only; Iceberg tables come as Polars scans, and only those that the
SQL names, as views of the session's own memory. Schemas are found through the search path, so that `ops.refreshes`
and `ops.batches` are both there though one lies in the file and the other in Iceberg.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import duckdb

from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, StoreUnavailableError, UsageError

LAKE_SCHEMAS = ("bronze", "silver", "ops")
_PUBLISHED = "lakehouse"
_CHUNK = 10_000
_WATERMARKS = "ops.watermarks"  # no table: it follows from the state that silver keeps
_RULE_COUNTS, _GOLD_RULE_COUNTS = "ops.rule_counts", "ops.gold_rule_counts"  # those of silver, those gold judges (R10)
_LAKE_NAME = re.compile(r"""\b(bronze|silver|ops)"?\s*\.\s*"?(\w+)""", re.IGNORECASE)
_GOLD_NAME = re.compile(r"""\b(gold|marts)"?\s*\.""", re.IGNORECASE)
_LISTS_TABLES = re.compile(
    r"^\s*(show|describe)\b|\b(information_schema|duckdb_(tables|views|columns))\b", re.IGNORECASE
)
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+|\(.*?\)\s*)?", re.IGNORECASE | re.DOTALL)
_NO_PAST_GOLD = (
    "\nOf the past there are bronze, silver and ops. Gold of then is made by "
    "`animeverse rebuild gold --as-of TIME --into FILE`."
)
_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.MULTI}  # MULTI: pivot


@dataclass(frozen=True, slots=True)
class Result:
    """Columns by name and type, and the rows as Python values, to be read once and before the session's next query."""

    names: Sequence[str]
    types: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


class Session:
    """A connection that answers queries on one state of gold. Close it when done, or use it with `with`."""

    def __init__(self, settings: Settings, as_of: datetime | None = None) -> None:
        """With `as_of`, bronze, silver and ops are as they were then, by Iceberg time travel; gold is not there."""
        published = settings.published_path
        self._settings, self._as_of = settings, as_of
        self._lake: Any = None
        self._there: set[str] = set()  # names that need no bringing
        self._lake_names: frozenset[str] | None = None
        self._stamp = stamp(settings) if as_of is None else None
        if self._stamp is None and settings.is_catalog_missing:
            raise NoLakehouseError(
                f"there is no lakehouse in {settings.home}: try `animeverse demo`, or say in ANIMEVERSE_HOME where"
            )
        self._connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "allow_community_extensions": "false"}
        )
        paths = ["memory.main"]
        if self._stamp is not None:
            try:
                self._connection.execute(f"attach {quoted(str(published))} as {_PUBLISHED} (read_only)")
            except duckdb.Error as error:
                raise StoreUnavailableError(f"{published} cannot be read: {_first_line(error)}") from None
            schemas = self._connection.execute(
                "select schema_name from duckdb_schemas() where database_name = ? and not internal", [_PUBLISHED]
            ).fetchall()
            paths += [f"{_PUBLISHED}.{schema}" for (schema,) in schemas]
            self._there |= {f"{schema}.{name}" for schema, name in self._published_tables()}
        for schema in LAKE_SCHEMAS:
            self._connection.execute(f"create schema memory.{schema}")
        paths += [f"memory.{schema}" for schema in LAKE_SCHEMAS]
        self._connection.execute("set timezone = 'UTC'")
        self._connection.execute(f"set search_path = {quoted(','.join(paths))}")
        self._connection.execute("set lock_configuration = true")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the published file and the catalog."""
        self._connection.close()
        if self._lake is not None:
            self._lake.close()

    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection itself, with all tables in it from now on. Closing it closes the session."""
        self._bring(None)
        if self._lake is not None:
            self._lake.close()  # what was brought reads files and needs the catalog no more
        return self._connection

    def is_stale(self) -> bool:
        """Whether gold was published anew since this session opened it."""
        return stamp(self._settings) != self._stamp

    def run(self, sql: str) -> Result:
        """The result of the one statement in `sql`. Raises UsageError: it is no query, or DuckDB refuses it."""
        try:
            cursor = self._execute(self._only_query(sql))
            columns = cursor.description or []
        except duckdb.Error as error:
            is_past = self._as_of is not None and isinstance(error, duckdb.CatalogException)
            raise UsageError(str(error).strip() + (_NO_PAST_GOLD if is_past else "")) from None
        return Result([str(column[0]) for column in columns], [str(column[1]) for column in columns], _rows(cursor))

    def tables(self) -> list[tuple[str, str]]:
        """Schema and name of every table there is to read."""
        lake = [tuple(name.split(".", 1)) for name in self._names()]
        return sorted({(str(schema), str(name)) for schema, name in [*self._published_tables(), *lake]})

    def _published_tables(self) -> list[tuple[str, str]]:
        found = self._connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = ? "
            "union all select schema_name, view_name from duckdb_views() where database_name = ? and not internal",
            [_PUBLISHED, _PUBLISHED],
        ).fetchall()
        return [(str(schema), str(name)) for schema, name in found]

    @staticmethod
    def split(sql: str) -> list[str]:
        """The statements in `sql`. Raises UsageError: it is not SQL."""
        try:
            return [str(statement.query) for statement in duckdb.extract_statements(sql)]
        except duckdb.Error as error:
            raise UsageError(str(error).strip()) from None

    def _only_query(self, sql: str) -> str:
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1:
            raise UsageError(f"expected one SQL statement, found {len(statements)}")
        kind, text = statements[0].type, statements[0].query
        if kind == duckdb.StatementType.EXPLAIN:
            inner = self._connection.extract_statements(_EXPLAIN.sub("", text, count=1))
            kind = inner[0].type if len(inner) == 1 else kind
        if kind not in _READS:
            raise UsageError(
                f"expected a query, found {kind.name}: the lakehouse is read-only here; "
                "to write a result use --format csv and a file of your own"
            )
        return str(text)

    def _execute(self, statement: str) -> Any:
        named = {f"{m[1]}.{m[2]}".lower() for m in _LAKE_NAME.finditer(statement)}
        self._bring(None if not named and _LISTS_TABLES.search(statement) else named)
        try:
            return self._connection.execute(statement)
        except duckdb.CatalogException:
            # A name without its schema, or one that is not there: with all tables in sight the answer is the right one.
            if self._bring(None):
                return self._execute(statement)
            if self._stamp is None and self._as_of is None and _GOLD_NAME.search(statement):
                raise NoLakehouseError("gold is not there, nothing was published yet: try `animeverse run`") from None
            raise

    def _bring(self, wanted: set[str] | None) -> bool:
        """Make Iceberg tables (None: all) views of this session; says whether there were new ones."""
        if wanted is not None:
            wanted -= self._there
            if not wanted:
                return False
        found = False
        for name in sorted(name for name in self._names() - self._there if wanted is None or name in wanted):
            schema, table = name.split(".", 1)
            frame = self._read(name) if self._as_of is None else self._read_past(name, self._as_of)
            if frame is None and wanted is None:
                continue  # not asked for by name
            if frame is None:
                raise UsageError(f"{name} is not kept as of {self._as_of}: see `animeverse status` and KEEP_DAILY")
            self._connection.register(f"__{schema}__{table}", frame)
            more = ""
            if name == _RULE_COUNTS and _GOLD_RULE_COUNTS in self._there:
                counts = f"select * from {_PUBLISHED}.{_GOLD_RULE_COUNTS} where rows > 0"
                more = f" union all by name {counts}"  # over all history, so of no batch
            self._connection.execute(
                f'create view memory.{schema}."{table}" as select * from "__{schema}__{table}"{more}'
            )
            self._there.add(name)
            found = True
        return found

    def _read(self, name: str) -> Any:
        if name == _WATERMARKS:
            from pipelines.silver.watermark_table import watermark_rows

            return watermark_rows(self._lake)
        return self._lake.scan(name)

    def _read_past(self, name: str, moment: datetime) -> Any:
        """The table's rows at a moment; None where no snapshot is so old."""
        return None if name == _WATERMARKS else self._lake.table(name).scan_at(moment)

    def _names(self) -> frozenset[str]:
        """Every Iceberg table; none where no catalog is yet."""
        if self._lake_names is None:
            if self._settings.is_catalog_missing:
                return frozenset()
            from pipelines.lake.catalog import (
                Lake,  # here: PyIceberg takes over a second to import and gold needs none of it
            )

            self._lake = Lake.open(self._settings)
            tables = {name for name in self._lake.names() if name.startswith(LAKE_SCHEMAS)}
            self._lake_names = frozenset(tables | {_WATERMARKS} if tables else tables)
        return self._lake_names


def stamp(settings: Settings) -> tuple[int, int] | None:
    """What tells one publication from the next; None: nothing is published yet."""
    with contextlib.suppress(FileNotFoundError):
        found = settings.published_path.stat()
        return found.st_ino, found.st_mtime_ns
    return None


def _rows(cursor: Any) -> Iterator[tuple[Any, ...]]:
    try:
        while chunk := cursor.fetchmany(_CHUNK):
            yield from chunk
    except duckdb.Error as error:
        raise UsageError(str(error).strip()) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def quoted(text: str) -> str:
    """The text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
