"""Fixes for quarantined records: an SQL expression over the JSON, or a Python function of the bytes.

A fix that returns null leaves the record in quarantine. The name of a fix contains a digest of its content: a repeated
release has the same fix, and a corrected fix is another one.
"""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from pipelines.duckdb_sandbox import connect, lock
from pipelines.errors import PermanentError, UsageError
from pipelines.parsing.json_text import InvalidJsonError, Json, compact
from pipelines.parsing.json_text import read as read_json

PythonFix = Callable[[bytes | None], bytes | None]


class Fix(Protocol):
    """Computes new values of quarantined records."""

    @property
    def name(self) -> str:
        """The name in `ops.releases`: the source and a digest of its text."""

    def apply(self, rows: pl.DataFrame) -> list[bytes | None]:
        """The new value of each row (columns of `silver.quarantine`); None leaves the record in quarantine.

        Raises PermanentError that names the first record for which the fix fails.
        """


def load_fix(source: str) -> Fix:
    """The fix of `--fix`: a file with an SQL expression, or `module:function`. Raises UsageError."""
    path = Path(source)
    if path.is_file() and path.suffix != ".py":
        return SqlFix.load(path)
    module, colon, function = source.rpartition(":")
    if colon and module and function.isidentifier():
        return FunctionFix.load(module, function)
    raise UsageError(
        f"--fix {source}: expected a file with an SQL expression, or a Python function as module:function; "
        + ("add the name of the function" if path.is_file() else "there is no such file")
    )


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class SqlFix:
    """An SQL expression over one record that returns its new JSON text.

    Its columns are `value` (text; null where it is not UTF-8), `json` (the same as JSON; null where it is none),
    `bytes`, `key` and `topic, partition, offset, timestamp, event_id, reasons, detail` as in `silver.quarantine`.
    """

    name: str
    expression: str

    @classmethod
    def load(cls, path: Path) -> "SqlFix":
        """The expression in a file. Raises UsageError where it is no valid expression."""
        try:
            text = path.read_text(encoding="utf-8").strip().removesuffix(";")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--fix {path}: expected a text file with an SQL expression: {error}") from None
        fix = cls(f"{path.name}#{_digest(text.encode())}", text)
        with connect() as connection:
            lock(connection)
            fix._result_type(connection, _EMPTY, str(path))
        return fix

    def _result_type(self, connection: duckdb.DuckDBPyConnection, rows: pl.DataFrame, what: str) -> str:
        connection.register("records", rows)
        try:
            if len(connection.extract_statements(self._query("fixed"))) != 1:
                raise UsageError(f"--fix {what}: expected one SQL expression")
            kind = str(connection.execute(f"describe {self._query('fixed')}").fetchall()[0][1])
        except duckdb.Error as error:
            raise UsageError(f"--fix {what}: {error}") from None
        if kind not in ("VARCHAR", "JSON", "BLOB", '"NULL"'):
            raise UsageError(f"--fix {what}: expected an expression of type VARCHAR, JSON or BLOB, found {kind}")
        return kind

    def _query(self, wanted: str) -> str:
        seen = "case when json_valid(value) then value::json end as json"
        return f"with seen as (select *, {seen} from records) select ({self.expression}\n) as {wanted} from seen"

    def apply(self, rows: pl.DataFrame) -> list[bytes | None]:
        """As Fix.apply."""
        if not len(rows):
            return []
        records = _sql_rows(rows)
        with connect() as connection:
            connection.execute("set preserve_insertion_order = true")
            lock(connection)
            blob = self._result_type(connection, records, self.name) == "BLOB"
            try:
                found = connection.execute(self._query("fixed")).fetchall()
            except duckdb.Error:
                found = [self._one(connection, records[index : index + 1]) for index in range(len(records))]
        if len(found) != len(rows):
            raise PermanentError(f"the fix {self.name} gives {len(found)} rows for {len(rows)} records")
        fixed = [value if blob or value is None else str(value).encode() for (value,) in found]
        pairs = zip(fixed, rows["value"], strict=True)
        return [None if new is None else with_exact_numbers(old, bytes(new)) for new, old in pairs]

    def _one(self, connection: duckdb.DuckDBPyConnection, record: pl.DataFrame) -> tuple[object]:
        connection.register("records", record)
        try:
            (row,) = connection.execute(self._query("fixed")).fetchall()
        except duckdb.Error as error:
            raise _failed(self.name, record, error) from None
        return (row[0],)


@dataclass(frozen=True, slots=True)
class FunctionFix:
    """A Python function of a record's bytes."""

    name: str
    function: PythonFix

    @classmethod
    def load(cls, module: str, function: str) -> "FunctionFix":
        """The function by its import path, which includes the working directory. Raises UsageError."""
        if "" not in sys.path:
            sys.path.insert(0, "")
        try:
            found = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise UsageError(f"--fix {module}:{function}: {error}") from None
        if not callable(found):
            raise UsageError(f"--fix {module}:{function}: expected a function, found {type(found).__name__}")
        try:
            text = Path(inspect.getsourcefile(found) or "").read_bytes()
        except (OSError, TypeError):
            text = b""
        return cls(f"{module}:{function}#{_digest(text)}", found)

    def apply(self, rows: pl.DataFrame) -> list[bytes | None]:
        """As Fix.apply."""
        fixed: list[bytes | None] = []
        for index, value in enumerate(rows["value"]):
            try:
                found = self.function(value)
            except Exception as error:
                raise _failed(self.name, rows[index : index + 1], error) from error
            if found is not None and not isinstance(found, bytes):
                raise _failed(self.name, rows[index : index + 1], f"expected bytes or None, found {type(found)}")
            fixed.append(found)
        return fixed


def _failed(name: str, row: pl.DataFrame, error: object) -> PermanentError:
    topic, partition, offset = row.select("topic", "partition", "offset").row(0)
    return PermanentError(
        f"the fix {name} fails for {topic}, partition {partition}, offset {offset}: {error}. Nothing was released."
    )


def _sql_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that the expression can use."""
    texts = pl.Series("value", [_text(value) for value in rows["value"]], dtype=pl.String)
    seen = ["topic", "partition", "offset", "timestamp", "event_id", "reasons", "detail"]
    return rows.select(*seen, "key", pl.col("value").alias("bytes")).with_columns(texts)


_EMPTY = pl.DataFrame(
    schema={
        "topic": pl.String(),
        "partition": pl.Int32(),
        "offset": pl.Int64(),
        "timestamp": pl.Datetime("us", "UTC"),
        "event_id": pl.String(),
        "reasons": pl.List(pl.String()),
        "detail": pl.String(),
        "key": pl.Binary(),
        "bytes": pl.Binary(),
        "value": pl.String(),
    }
)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def with_exact_numbers(old: bytes | None, new: bytes) -> bytes:
    """The new text, in which numbers that the fix rounded to a float are written as in the old text.

    DuckDB's JSON functions write 99999999999999.9999 as 100000000000000.0. A number with another value than the old one
    at the same position, but the same float, is replaced by the old one.
    """
    try:
        before, after = read_json(old or b""), read_json(new)
    except InvalidJsonError:
        return new
    restored = _with_old_numbers(before, after)
    return new if restored is after else compact(restored).encode()


def _with_old_numbers(before: Json, after: Json) -> Json:
    """`after` itself where no number was rounded."""
    if type(before) is not type(after):
        return after
    if type(after) is bytes:
        return before if _is_rounded(before, after) else after
    if type(after) is list:
        old: Sequence[Json] = before
        items = [_with_old_numbers(old[i], item) if i < len(old) else item for i, item in enumerate(after)]
        return items if any(one is not two for one, two in zip(items, after, strict=True)) else after
    if type(after) is tuple:
        known = dict(before)
        members = [(name, _with_old_numbers(known[name], value) if name in known else value) for name, value in after]
        is_changed = any(one[1] is not two[1] for one, two in zip(members, after, strict=True))
        return tuple(members) if is_changed else after
    return after


def _is_rounded(before: bytes, after: bytes) -> bool:
    try:
        return before != after and float(before) == float(after) and Decimal(before.decode()) != Decimal(after.decode())
    except (InvalidOperation, OverflowError):
        return False
