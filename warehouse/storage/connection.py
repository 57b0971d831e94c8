"""Connections to the warehouse's own file: UTC, no extension from anywhere, readable by DuckDB 1.5."""

from pathlib import Path

import duckdb

from pipelines.errors import AlreadyRunningError
from pipelines.store_errors import store_error
from warehouse.storage.macros import KEY_MACROS

STORAGE_VERSION = "v1.5.0"
ALIAS = "warehouse"
BLOCK = 131_072  # bytes; in smaller ones DuckDB packs no 16-byte numbers, larger ones a small row group does not fill
ROW_GROUP = 10_240  # rows; merging small row groups into one of 122,880 would keep a refresh waiting for half a second
DAMAGED = "If the file is damaged, make a new one from silver by `animeverse rebuild gold`"
_REOPENED = f"storage_version '{STORAGE_VERSION}', row_group_size {ROW_GROUP}"
FORM = f"{_REOPENED}, block_size {BLOCK}"  # of a new file; one that is there keeps its blocks

_OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_MACROS = (
    # days are UTC days (R7), whatever the session's time zone
    "create or replace temp macro utc_day(moment) as make_timestamp(epoch_us(moment))::date",
    "create or replace temp macro to_date_key(day) as (year(day) * 10000 + month(day) * 100 + day(day))::integer",
    "create or replace temp macro from_date_key(key) as make_date(key // 10000, key // 100 % 100, key % 100)",
    "create or replace temp macro to_time_key(moment) as (epoch_us(moment) // 60000000 % 1440)::integer",
    # the day's last instant: what a day's row reads history at
    "create or replace temp macro day_end(key) as "
    "((from_date_key(key) + 1)::timestamp - interval 1 microsecond)::timestamptz",
    *KEY_MACROS,
)


def connect(file: Path, *, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Opens the file for writing, makes it where it is not there, and puts the macros of the models in place.

    Raises AlreadyRunningError when another process has it open, StoreUnavailableError when it cannot be read.
    """
    connection = duckdb.connect(":memory:", config=_OFFLINE)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"set memory_limit = '{memory_limit}'")
    connection.execute(f"set temp_directory = '{quoted(file.parent / 'spill')}'")
    # a refresh is published, so it is written into the file itself at commit, not to a log first
    connection.execute("set wal_autocheckpoint = '1KB'")
    connection.execute("set auto_checkpoint_skip_wal_threshold = 0")
    try:
        connection.execute(f"attach '{quoted(file)}' as {ALIAS} ({_REOPENED if file.exists() else FORM})")
    except duckdb.Error as error:  # of a damaged file it is any of them
        connection.close()
        if isinstance(error, duckdb.IOException) and "lock" in str(error).lower():
            said = str(error).split(". See also")[0]
            raise AlreadyRunningError(
                f"{file} is open in another process: {said}. End that one, then run the command again; to read gold, "
                "open the published file instead."
            ) from error
        raise store_error(f"opening {file}", error, DAMAGED) from error
    connection.execute(f"use {ALIAS}")
    for macro in _MACROS:
        connection.execute(macro)
    return connection


def quoted(path: Path | str) -> str:
    """For use between single quotes in SQL."""
    return str(path).replace("'", "''")


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Column names and types of a table, a view or a query in brackets."""
    rows = connection.execute(f"describe select * from {relation}").fetchall()
    return {name: kind for name, kind, *_ in rows}
