"""Export a mart, or a learning data set at a cutoff, to a Parquet file."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from animeverse.services.output_file import output_file
from animeverse.services.query import sql_literal
from pipelines.config.settings import Settings
from pipelines.duckdb_sandbox import connect as connect_offline
from pipelines.errors import NoLakehouseError, StoreUnavailableError, UsageError
from warehouse.storage.published import readable

_LOOKS_BACK = "cross_sell_rate"  # its `days` is a window before the date, not a horizon


@dataclass(frozen=True, slots=True)
class _Marts:
    """What can be exported: views, table macros, and the horizon parameter of those macros that have one."""

    views: frozenset[str]
    macros: frozenset[str]
    horizons: Mapping[str, str]


def export(
    settings: Settings,
    mart: str,
    file: Path,
    *,
    cutoff: datetime | None,
    horizon: int | None,
    force: bool = False,
) -> int:
    """Write `marts.<mart>` to a Parquet file and return the number of rows.

    Rows are sorted by all columns, so equal rows give an equal file. Raises NoLakehouseError, StoreUnavailableError
    when the published file cannot be read, and UsageError for a wrong mart, option or target: an existing file is
    overwritten with `force` only, and whole.
    """
    published = settings.published_path
    if not published.exists():
        raise NoLakehouseError(f"there is no warehouse in {settings.home} yet: try `animeverse demo`")
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(connect_offline())
        try:
            connection.execute(
                f"attach {sql_literal(str(stack.enter_context(readable(published))))} as lakehouse (read_only)"
            )
        except duckdb.Error as error:
            raise StoreUnavailableError(f"{published} cannot be read: {_first_line(error)}") from None
        connection.execute("use lakehouse")
        name = mart.removeprefix("marts.")
        source = _source(_read_marts(connection), name, cutoff, horizon)
        try:
            draft = stack.enter_context(output_file(file, force=force))
            ((count,),) = connection.execute(
                f"copy (select * from {source} order by all) to {sql_literal(str(draft))} (format parquet)"
            ).fetchall()
        except duckdb.IOException as error:
            raise UsageError(f"{file} cannot be written: {_first_line(error)}") from None
        except duckdb.DataError as error:
            raise UsageError(f"marts.{name} cannot be computed: {_first_line(error)}") from None
    return int(count)


def _read_marts(connection: duckdb.DuckDBPyConnection) -> _Marts:
    views = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'marts'"
    ).fetchall()
    parameters = dict(
        connection.execute(
            "select function_name, parameters from duckdb_functions()"
            " where schema_name = 'marts' and function_type = 'table_macro'"
        ).fetchall()
    )
    horizons = {
        macro: parameter
        for macro, names in parameters.items()
        for parameter in names
        if parameter in ("horizon", "days") and macro != _LOOKS_BACK
    }
    return _Marts(frozenset(name for (name,) in views), frozenset(parameters), horizons)


def _source(marts: _Marts, name: str, cutoff: datetime | None, horizon: int | None) -> str:
    """Return the SQL that the mart is read from. Raises UsageError when the options do not fit the mart."""
    known = marts.views | marts.macros
    if name not in known:
        raise UsageError(f"there is no mart {name!r}; there are {', '.join(sorted(known))}")
    if horizon is not None and (name in marts.views or name not in marts.horizons):
        raise UsageError(f"marts.{name} takes no --horizon; {', '.join(sorted(marts.horizons))} do")
    if name in marts.views and cutoff is None:
        return f"marts.{name}"
    if name not in marts.macros:
        raise UsageError(
            f"marts.{name} takes no --cutoff; `animeverse rebuild gold --as-of TIME --into FILE` builds it as of a time"
        )
    if cutoff is None:
        raise UsageError(f"marts.{name} needs a cutoff, such as --cutoff 2026-11-01")
    try:
        moment = cutoff.astimezone(UTC).isoformat(" ")
    except OverflowError:
        raise UsageError(f"--cutoff {cutoff} is not between the years 1 and 9999 in UTC") from None
    argument = "" if horizon is None else f", {marts.horizons[name]} := {horizon}"
    return f"marts.{name}('{moment}'::timestamptz{argument})"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
