"""Connections to the warehouse's own file: in UTC, without downloads of extensions, readable by DuckDB 1.5."""

from pathlib import Path

import duckdb

from pipelines.duckdb_sandbox import OFFLINE
from pipelines.errors import AlreadyRunningError
from pipelines.store_errors import store_error
from warehouse.storage.macros import KEY_MACROS

STORAGE_VERSION = "v1.5.0"
ALIAS = "warehouse"
BLOCK = 131_072  # bytes; DuckDB packs no 16-byte numbers in smaller ones, small row groups do not fill larger ones
ROW_GROUP = 10_240  # rows; merging small row groups into one of 122,880 would delay a refresh by half a second
DAMAGED = "If the file is damaged, build a new one from silver: `animeverse rebuild gold`"
_EXISTING = f"storage_version '{STORAGE_VERSION}', row_group_size {ROW_GROUP}"
NEW_FILE = f"{_EXISTING}, block_size {BLOCK}"  # an existing file keeps its blocks

_MACROS = (
    # days are UTC days (R7), whatever the session's time zone
    "create or replace temp macro utc_day(moment) as make_timestamp(epoch_us(moment))::date",
    "create or replace temp macro to_date_key(day) as (year(day) * 10000 + month(day) * 100 + day(day))::integer",
    "create or replace temp macro from_date_key(key) as make_date(key // 10000, key // 100 % 100, key % 100)",
    "create or replace temp macro to_time_key(moment) as (epoch_us(moment) // 60000000 % 1440)::integer",
    # the last instant of a day: the row of a day joins the versions valid then
    "create or replace temp macro day_end(key) as "
    "((from_date_key(key) + 1)::timestamp - interval 1 microsecond)::timestamptz",
    *KEY_MACROS,
)


def connect(file: Path, *, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Opens the file for writing, creates it if it does not exist, and defines the macros of the models.

    Raises AlreadyRunningError if another process has the file open, StoreUnavailableError if it cannot be read.
    """
    connection = duckdb.connect(":memory:", config=OFFLINE)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"set memory_limit = '{memory_limit}'")
    connection.execute(f"set temp_directory = '{quoted(file.parent / 'spill')}'")
    # a commit is published as a copy of the file, so it is written to the file itself, not to a log first
    connection.execute("set wal_autocheckpoint = '1KB'")
    connection.execute("set auto_checkpoint_skip_wal_threshold = 0")
    try:
        connection.execute(f"attach '{quoted(file)}' as {ALIAS} ({_EXISTING if file.exists() else NEW_FILE})")
    except duckdb.Error as error:  # a damaged file raises any of them
        connection.close()
        if isinstance(error, duckdb.IOException) and "lock" in str(error).lower():
            reason = str(error).split(". See also")[0]
            raise AlreadyRunningError(
                f"{file} is open in another process: {reason}. End it, then run the command again; to read gold, "
                "open the published file instead."
            ) from error
        raise store_error(f"opening {file}", error, DAMAGED) from error
    connection.execute(f"use {ALIAS}")
    for macro in _MACROS:
        connection.execute(macro)
    return connection


def quoted(path: Path | str) -> str:
    """The text with its single quotes doubled, for a literal in SQL."""
    return str(path).replace("'", "''")


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The names and types of the columns of a table, a view or a query in brackets."""
    rows = connection.execute(f"describe select * from {relation}").fetchall()
    return {name: kind for name, kind, *_ in rows}
