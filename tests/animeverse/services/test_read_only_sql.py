from pathlib import Path

import duckdb
import pytest

from animeverse.services.read_only_sql import query_text
from pipelines.duckdb_sandbox import connect, lock
from pipelines.errors import UsageError


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    made = connect()
    made.execute("create table t as select 'x' as a, 1 as b")
    lock(made)
    return made


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select b from t", [(1,)]),
        ("from t select b;", [(1,)]),
        ("(select b from t)", [(1,)]),
        ("with é as (select 2 as n) select n from é", [(2,)]),
        ("values (3)", [(3,)]),
        ("show tables", [("t",)]),
        ("pivot t on a using sum(b)", [(1,)]),
        ("pivot (from t) on a using sum(b); -- done", [(1,)]),
        ("with p as (pivot t on a using sum(b)) select * from p -- done", [(1,)]),
    ],
)
def test_a_query_runs(sql: str, rows: list[tuple[object, ...]], connection: duckdb.DuckDBPyConnection) -> None:
    assert connection.execute(query_text(connection, sql)).fetchall() == rows


@pytest.mark.parametrize(
    "sql",
    [
        "explain select b from t",
        "explain analyze select b from t",
        "explain (analyze) select b from t",
        "explain (select b from t)",
        "explain /* analyze copy */ select 'explain analyze copy' from t",
        "EXPLAIN -- a comment\n analyze with é as (select 1) from é",
    ],
)
def test_a_query_is_explained(sql: str, connection: duckdb.DuckDBPyConnection) -> None:
    assert connection.execute(query_text(connection, sql)).fetchall()[0][0] in ("physical_plan", "analyzed_plan")


# Each text passed, or could pass, a test that reads SQL by pattern or by DuckDB's statement type alone.
HOSTILE = [
    "explain (analyze /*) select 1 --*/) copy (select 42) to '{file}'",
    "explain /* ( */ analyze /* ) select 1 */ copy (select 42) to '{file}'",
    "explain (analyze, format json) copy (select 42) to '{file}'",
    "explain analyze verbose copy (select 42) to '{file}'",
    "explain analyze copy (pivot t on a using sum(b)) to '{file}'",
    "copy (pivot t on a using sum(b)) to '{file}'",
    "copy (select 42) to '{file}'",
    "create table memory.main.u as pivot t on a using sum(b)",
    "explain analyze insert into t values ('y', 2)",
    "insert into t pivot t on a using sum(b)",
    "select 1; copy (select 42) to '{file}'",
    "export database '{file}'",
    "attach '{file}' as other",
    "install httpfs",
    "set enable_external_access = true",
    "pragma enable_external_access = true",
    "call enable_logging(storage_path = '{file}')",
    "prepare q as copy (select 42) to '{file}'",
    "create secret s (type s3)",
    "checkpoint",
    "detach memory",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_no_query_is_refused_and_writes_nothing(
    sql: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "log.db"
    file.write_text("SQLite")
    with pytest.raises((UsageError, duckdb.Error)):
        connection.execute(query_text(connection, sql.format(file=file)))
    assert file.read_text() == "SQLite"
    assert connection.execute("select count(*) from t").fetchall() == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.db"]


@pytest.mark.parametrize(
    "sql",
    [
        "from read_text('/etc/hostname')",
        "from read_csv('/etc/passwd')",
        "from read_blob('{file}')",
        "from '{file}'",
        "from glob('/*')",
        "from read_json('https://example.org/x.json')",
        "from sniff_csv('/etc/passwd')",
        "from parquet_metadata('{file}')",
    ],
)
def test_a_query_reads_no_file(sql: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "secret.parquet"
    duckdb.sql(f"copy (select 42 as n) to '{file}'")
    with pytest.raises((UsageError, duckdb.Error)):
        connection.execute(query_text(connection, sql.format(file=file)))


def test_files_that_are_allowed_are_read_and_no_others(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.parquet", tmp_path / "other.parquet"
    for path in (mine, other):
        duckdb.sql(f"copy (select 42 as n) to '{path}'")
    closed = connect()
    lock(closed, files=[mine])
    assert closed.execute(f"from read_parquet('{mine}')").fetchall() == [(42,)]
    with pytest.raises(duckdb.PermissionException):
        closed.execute(f"from read_parquet('{other}')")
