"""The gold part of `animeverse verify`: gold holds all of silver, has the same totals, and equals a rebuild."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.duckdb_sandbox import connect
from pipelines.silver.changes import SilverChanges
from warehouse.checks import checks_of
from warehouse.rebuild import rebuild
from warehouse.registry import of_kind, registry, staging_of
from warehouse.storage.connection import quoted
from warehouse.storage.published import readable

Finding = tuple[str, bool, str]  # check, whether it holds, detail

_DAYS = "marts.daily_summary"


def gold_checks(published: Path, changes: SilverChanges, is_rebuild: bool) -> list[Finding]:
    """Checks the published file against `changes`, which hold all of silver.

    With `is_rebuild` the only check is that a rebuild gives the same rows.
    """
    if not published.exists():
        return [("gold: there is a published file", False, f"{published} does not exist: run `animeverse run gold`")]
    try:
        with readable(published) as file:
            return list(_equal_to_rebuild(file, published.parent, changes) if is_rebuild else _checks(file, changes))
    except duckdb.Error as error:
        detail = f"{str(error).strip().splitlines()[0]}. The next `animeverse run gold` publishes it again"
        return [("gold: the published file can be read", False, detail)]


def _checks(file: Path, changes: SilverChanges) -> Iterator[Finding]:
    with connect() as connection:
        connection.execute(f"attach '{quoted(file)}' as published (read_only)")
        connection.execute("use published")
        yield from _reflects(connection, changes)
        yield from _totals(connection, changes)
        yield from _models(connection)


def _reflects(connection: duckdb.DuckDBPyConnection, changes: SilverChanges) -> Iterator[Finding]:
    rows = connection.execute("select silver_snapshots from gold.refreshes order by refresh_id desc limit 1").fetchall()
    behind = sorted(
        name for name, snapshot in changes.snapshots.items() if not rows or rows[0][0].get(name) != snapshot
    )
    detail = "the newest snapshots" if not behind else f"`animeverse run gold` has to read {', '.join(behind)}"
    yield "gold: reflects all of silver", not behind, detail


def _totals(connection: duckdb.DuckDBPyConnection, changes: SilverChanges) -> Iterator[Finding]:
    """Rows and totals of each fact, counted from gold and from silver alone."""
    for fact in of_kind("fact"):
        table = staging_of(fact).silver_tables[0]
        expected = changes.tables[table].num_rows if table in changes.tables else 0
        ((found,),) = connection.execute(f"select count(*) from {fact.full_name}").fetchall()
        yield (
            f"{fact.full_name}: a row for each of silver.{table}",
            found == expected,
            f"{found:,} of {expected:,} rows",
        )
    with connect() as silver:
        for name, rows in changes.tables.items():
            silver.register(name, rows)
        for fact in of_kind("fact"):
            tables = staging_of(fact).silver_tables
            if "total" not in fact.header or not all(table in changes.tables for table in tables):
                continue
            column, _, text = fact.header["total"].partition(": ")
            measure, _, expression = text.partition(" = ")
            source = f"{tables[0]} {' '.join(f'join {table} using (_partition, _offset)' for table in tables[1:])}"
            ((expected,),) = silver.execute(f"select coalesce(sum({expression}), 0) from {source}").fetchall()
            sums = [
                connection.execute(f"select coalesce(sum({column}), 0) from {table}").fetchall()[0][0]
                for table in (fact.full_name, _DAYS)
            ]
            shown = f"{expected:,}" + ("" if all(s == expected for s in sums) else f" in silver, in gold {sums}")
            yield f"gold: {measure} equal silver's to the last digit", all(s == expected for s in sums), shown


def _models(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """The checks of all models over whole tables, those of views included."""
    passed, deferred = 0, _deferred(connection, "published")
    for model in registry():
        if model.schema not in ("gold", "marts") or model.full_name in deferred:
            continue
        for check in checks_of(model):
            if check.action != "fail" or check.reads_refresh:
                continue
            ((rows,),) = connection.execute(f"select count(*) from (\n{check.over_whole_tables()}\n)").fetchall()
            if rows:
                yield f"{model.full_name}: {check.claim}", False, f"{rows:,} rows violate this"
            passed += not rows
    yield "gold and marts: every model's own checks", True, f"{passed} hold{_left_out(deferred, 'checked')}"


def _equal_to_rebuild(file: Path, gold: Path, changes: SilverChanges) -> Iterator[Finding]:
    folder = Path(tempfile.mkdtemp(prefix="rebuild-", dir=gold))
    try:
        again = folder / "again.duckdb"
        rebuild(changes, again, datetime.now(UTC))
        with connect() as connection:
            connection.execute(f"attach '{quoted(file)}' as live (read_only)")
            connection.execute(f"attach '{quoted(again)}' as again (read_only)")
            yield from _same_tables(connection)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _deferred(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """The models that a refresh deferred, and the views over them, sorted."""
    found = {name for (name,) in connection.execute(f"select model from {database}.work.lagging").fetchall()}
    for model in registry():  # each after those it reads
        behind = {name.replace("work.", "gold.", 1) for name in model.reads}  # work.<name>: open days of gold.<name>
        if model.kind == "view" and found & {*model.reads, *behind}:
            found.add(model.full_name)
    return sorted(found)


def _left_out(deferred: list[str], what: str) -> str:
    """A remark on deferred models, which a stopped run leaves and the next run computes."""
    return f"; not {what}: {', '.join(deferred)}, which `animeverse run gold` brings up to date" if deferred else ""


def _same_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    names = [
        model.full_name
        for model in registry()
        if model.schema in ("gold", "marts") and model.kind not in ("macro", "scope")
    ]
    deferred = _deferred(connection, "live")
    differ: list[str] = []
    total = 0
    for name in names:
        if name in deferred:
            continue
        ((rows, off),) = connection.execute(
            f"""
            with live as (select * from live.{name}), again as (select * from again.{name})
            select (select count(*) from live),
                (select count(*) from (from live except all from again))
                + (select count(*) from (from again except all from live))
            """
        ).fetchall()
        total += rows
        if off:
            differ.append(f"{name} ({off:,} rows)")
    detail = f"{len(names)} tables, {total:,} rows, keys included" if not differ else f"differ: {', '.join(differ)}"
    detail += _left_out(deferred, "compared")
    yield "gold and marts: equal to a rebuild from nothing", not differ, detail
