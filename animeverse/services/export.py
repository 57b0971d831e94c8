"""`animeverse export`: a mart, or a learning data set at a cutoff, as a Parquet file."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.config.settings import Settings
from pipelines.errors import NoLakehouseError, StoreUnavailableError, UsageError


def export(settings: Settings, mart: str, file: Path, *, cutoff: datetime | None, horizon: int | None) -> int:
    """Write `marts.<mart>` to a Parquet file, sorted by all columns: the same rows, the same file. Returns the rows."""
    published = settings.published_path
    if not published.exists():
        raise NoLakehouseError(f"there is no warehouse in {settings.home} yet: try `animeverse demo`")
    try:
        opened = duckdb.connect(str(published), read_only=True)
    except duckdb.Error as error:
        raise StoreUnavailableError(f"{published} cannot be read: {str(error).splitlines()[0]}") from None
    with opened as connection:
        connection.execute("set TimeZone = 'UTC'")
        views = _names(connection, "select table_name from information_schema.tables where table_schema = 'marts'")
        parameters = dict(
            connection.execute(
                "select function_name, parameters from duckdb_functions()"
                " where schema_name = 'marts' and function_type = 'table_macro'"
            ).fetchall()
        )
        macros = parameters.keys()
        ahead = {
            macro: word
            for macro, words in parameters.items()
            for word in words
            if word in ("horizon", "days") and macro != "cross_sell_rate"  # which looks back
        }
        name = mart.removeprefix("marts.")
        if horizon is not None and name in views | macros - ahead.keys():
            raise UsageError(f"marts.{name} takes no --horizon; {', '.join(sorted(ahead))} do")
        if name in views and cutoff is None:
            source = f"marts.{name}"
        elif name in macros:
            if cutoff is None:
                raise UsageError(f"marts.{name} knows nothing after a cutoff: say which, as --cutoff 2026-11-01")
            try:
                moment = cutoff.astimezone(UTC).isoformat(" ")
            except OverflowError:
                raise UsageError(f"--cutoff {cutoff} is not between the years 1 and 9999 in UTC") from None
            more = "" if horizon is None else f", {ahead[name]} := {horizon}"
            source = f"marts.{name}('{moment}'::timestamptz{more})"
        elif name in views:
            raise UsageError(f"marts.{name} takes no cutoff; `animeverse rebuild gold --as-of TIME` gives it as it was")
        else:
            raise UsageError(f"there is no mart {name!r}; there are {', '.join(sorted(views | macros))}")
        target = str(file).replace("'", "''")
        try:
            (count,) = connection.execute(
                f"copy (select * from {source} order by all) to '{target}' (format parquet)"
            ).fetchall()[0]
        except duckdb.IOException as error:
            raise UsageError(f"{file} cannot be written: {str(error).splitlines()[0]}") from None
        except duckdb.DataError as error:
            raise UsageError(f"marts.{name} cannot be computed: {str(error).splitlines()[0]}") from None
    return int(count)


def _names(connection: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    return {name for (name,) in connection.execute(query).fetchall()}
