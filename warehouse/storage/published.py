"""Reading a published file where its home was moved or copied, and beside what other programs leave there.

The views of closed days name Parquet files by absolute path, because DuckDB resolves a relative one against the
reader's working folder. In a moved or copied home these paths are wrong until the next publication. `readable` then
gives a temporary copy whose views name the files of this home.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from pipelines.duckdb_sandbox import connect
from warehouse.storage.closed_days import FOLDER
from warehouse.storage.connection import quoted


@contextlib.contextmanager
def readable(published: Path) -> Iterator[Path]:
    """The published file, or a temporary copy of it with the right paths.

    Raises duckdb.Error where it is no database.
    """
    old = _other_folder(published)
    if old is None:
        yield published
        return
    with tempfile.TemporaryDirectory(prefix="animeverse-gold-") as folder:
        copy = Path(folder, published.name)
        shutil.copyfile(published, copy)
        with connect() as connection:
            connection.execute(f"attach '{quoted(copy)}' as copied")
            connection.execute("use copied")
            for (sql,) in _views(connection, "copied", old):
                wrong, right = (quoted(Path(gold, FOLDER)) for gold in (old, published.parent.absolute()))
                moved = sql.replace(f"'{wrong}/", f"'{right}/")
                connection.execute(moved.replace("CREATE VIEW", "create or replace view", 1))
        yield copy


def files_of_closed_days(connection: duckdb.DuckDBPyConnection, database: str, gold: Path) -> list[str]:
    """Absolute paths of the Parquet files that the views of an attached published file read."""
    if connection.execute(
        "select count(*) from duckdb_tables() where database_name = $1 and schema_name = 'work'"
        " and table_name = 'closed_days'",
        [database],
    ).fetchall() == [(0,)]:
        return []  # a file that stands alone
    return [
        str(gold.absolute() / FOLDER / file)
        for (file,) in connection.execute(f"select file from {database}.work.closed_days").fetchall()
    ]


def _other_folder(published: Path) -> str | None:
    """The gold folder that the file's views name, where it is not the one it is in."""
    with connect() as connection:
        connection.execute(f"attach '{quoted(published)}' as published (read_only)")
        tables = connection.execute(
            "select count(*) from duckdb_tables() where database_name = 'published' and schema_name = 'work'"
            " and table_name in ('made_by', 'closed_days')"
        ).fetchall()
        if tables != [(2,)]:
            return None
        if connection.execute("select count(*) from published.work.closed_days").fetchall() == [(0,)]:
            return None
        ((old,),) = connection.execute("select gold_dir from published.work.made_by").fetchall()
    with contextlib.suppress(OSError):
        if Path(old).samefile(published.parent):
            return None
    return str(old)


def _views(connection: duckdb.DuckDBPyConnection, database: str, folder: str) -> list[tuple[str]]:
    return connection.execute(
        "select sql from duckdb_views() where database_name = $1 and not internal and contains(sql, $2)",
        [database, f"'{quoted(Path(folder, FOLDER))}/"],
    ).fetchall()
