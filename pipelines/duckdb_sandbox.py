"""Every DuckDB connection of the product: offline, and closed to files other than those it is given.

DuckDB installs and loads extensions by itself, reads any file or URL that SQL names, and writes with COPY. `connect`
turns all of that off; `lock` also takes the files away. What a statement may do is then not a matter of reading its
text.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def connect(*, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory connection in UTC that loads no extension. Attach files, then call `lock`."""
    connection = duckdb.connect(":memory:", config=OFFLINE)
    connection.execute("set TimeZone = 'UTC'")
    if threads is not None:
        connection.execute(f"set threads = {threads}")
    return connection


def close_to_files(
    connection: duckdb.DuckDBPyConnection, *, files: Iterable[Path | str] = (), folders: Iterable[Path | str] = ()
) -> None:
    """Take away access to all files but these, attached databases and registered tables. It cannot be given back."""
    connection.execute(f"set allowed_paths = {_list(files)}")
    connection.execute(f"set allowed_directories = {_list(f'{folder}/' for folder in folders)}")
    connection.execute("set enable_external_access = false")


def lock(connection: duckdb.DuckDBPyConnection, *, files: Iterable[Path | str] = ()) -> None:
    """`close_to_files`, and no setting can be changed from now on: for SQL that somebody else wrote."""
    close_to_files(connection, files=files)
    connection.execute("set lock_configuration = true")


def literal(text: str) -> str:
    """The text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _list(paths: Iterable[Path | str]) -> str:
    return f"[{', '.join(literal(str(path)) for path in paths)}]"
