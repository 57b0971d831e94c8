"""What `animeverse verify` says of gold: it holds all of silver, its sums are silver's, a rebuild is equal to it."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.silver.changes import SilverChanges
from warehouse.checks import checks_of
from warehouse.registry import registry
from warehouse.storage.connection import quoted
from warehouse.writer import rebuild

Finding = tuple[str, bool, str]  # check, does it hold, detail

_FACTS = {
    "fct_sales": "pos_items",
    "fct_cinema_attendance": "cinema_sales",
    "fct_inventory_movement": "inventory_updates",
    "fct_review": "customer_reviews",
}
# The same measure counted from silver alone and from gold.
_SUMS = {
    "net sales": (
        """
        select coalesce(sum(case when event_type = 'return' then -1 else 1 end
            * ((quantity::decimal(19, 0) * unit_price)::decimal(38, 4) - coalesce(discount_amount, 0))), 0)
        from pos_items join (select event_id, event_type, _partition, _offset from pos_transactions)
            using (event_id, _partition, _offset)
        """,
        "select coalesce(sum(net_sales_amount), 0) from gold.fct_sales",
        "select coalesce(sum(net_sales_amount), 0) from marts.daily_summary",
    ),
    "admissions": (
        """
        select coalesce(sum(case when event_type = 'cancellation' then -1 else 1 end * seats_booked), 0)::hugeint
        from cinema_sales
        """,
        "select coalesce(sum(admissions), 0)::hugeint from gold.fct_cinema_attendance",
        "select coalesce(sum(admissions), 0)::hugeint from marts.daily_summary",
    ),
}
_NOT_COMPARED = ("gold.refreshes",)  # when it was made, not what it says
_CHANGED = re.compile(r"\bchanged\.([a-z_0-9]+)")


def gold_checks(published: Path, changes: SilverChanges, is_rebuild: bool) -> list[Finding]:
    """Checks of the published file against all of silver; of a rebuild: that it gives the same, row for row."""
    if not published.exists():
        return [("gold: there is a published file", False, f"{published} is not there: `animeverse run gold` makes it")]
    if is_rebuild:
        return list(_equal_to_rebuild(published, changes))
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"attach '{quoted(published)}' as published (read_only)")
        connection.execute("use published")
        return [*_reflects(connection, changes), *_sums(connection, changes), *_models(connection)]


def _reflects(connection: duckdb.DuckDBPyConnection, changes: SilverChanges) -> Iterator[Finding]:
    rows = connection.execute("select silver_snapshots from gold.refreshes order by refresh_id desc limit 1").fetchall()
    behind = sorted(
        name for name, snapshot in changes.snapshots.items() if not rows or rows[0][0].get(name) != snapshot
    )
    detail = "the newest snapshots" if not behind else f"`animeverse run gold` has to bring {', '.join(behind)}"
    yield "gold: reflects all of silver", not behind, detail


def _sums(connection: duckdb.DuckDBPyConnection, changes: SilverChanges) -> Iterator[Finding]:
    for fact, table in _FACTS.items():
        expected = changes.tables[table].num_rows if table in changes.tables else 0
        ((found,),) = connection.execute(f"select count(*) from gold.{fact}").fetchall()
        yield f"gold.{fact}: a row for each of silver.{table}", found == expected, f"{found:,} of {expected:,} rows"
    with duckdb.connect(":memory:") as silver:
        for name in ("pos_items", "pos_transactions", "cinema_sales"):
            if name in changes.tables:
                silver.register(name, changes.tables[name])
        for measure, (in_silver, *in_gold) in _SUMS.items():
            if not all(name in changes.tables for name in re.findall(r"\b(?:pos_\w+|cinema_sales)\b", in_silver)):
                continue
            ((expected,),) = silver.execute(in_silver).fetchall()
            sums = [connection.execute(query).fetchall()[0][0] for query in in_gold]
            shown = f"{expected:,}" + ("" if all(s == expected for s in sums) else f" in silver, in gold {sums}")
            yield f"gold: {measure} equal silver's to the last digit", all(s == expected for s in sums), shown


def _models(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Each model's own checks over all of it, those of views too."""
    passed, waiting = 0, _waiting(connection, "published")
    for model in registry():
        if model.schema not in ("gold", "marts") or model.full_name in waiting:
            continue
        for check in checks_of(model.checks, model.full_name):
            if check.action != "fail" or ("affected." in check.sql or "silver." in check.sql):
                continue
            # A subquery, since a check may join what changed with the whole table of the same name.
            body = _CHANGED.sub(
                lambda found: f"(from {'gold' if found[1].startswith(('dim', 'fct')) else 'marts'}.{found[1]})",
                check.sql,
            )
            ((rows,),) = connection.execute(f"select count(*) from (\n{body}\n)").fetchall()
            if rows:
                yield f"{model.full_name}: {check.claim}", False, f"{rows:,} rows say otherwise"
            passed += not rows
    yield "gold and marts: every model's own checks", True, f"{passed} hold{_left_out(waiting, 'checked')}"


def _equal_to_rebuild(published: Path, changes: SilverChanges) -> Iterator[Finding]:
    folder = Path(tempfile.mkdtemp(prefix="rebuild-", dir=published.parent))
    try:
        again = folder / "again.duckdb"
        rebuild(changes, again, datetime.now(UTC))
        with duckdb.connect(":memory:") as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{quoted(published)}' as live (read_only)")
            connection.execute(f"attach '{quoted(again)}' as again (read_only)")
            yield from _same_tables(connection)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _waiting(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """Models that a refresh left for later, and those that show what they hold, sorted."""
    found = {name for (name,) in connection.execute(f"select model from {database}.work.lagging").fetchall()}
    for model in registry():  # each after those it reads
        native = {name.replace("work.", "gold.", 1) for name in model.reads}
        if model.kind == "view" and found & {*model.reads, *native}:
            found.add(model.full_name)
    return sorted(found)


def _left_out(waiting: list[str], what: str) -> str:
    """What to say of them: a run that was stopped left them, and the next one goes on with them."""
    return f"; not {what}: {', '.join(waiting)}, which `animeverse run gold` brings up to date" if waiting else ""


def _same_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    names = [
        model.full_name
        for model in registry()
        if model.schema in ("gold", "marts")
        and model.kind not in ("macro", "scope")
        and model.full_name not in _NOT_COMPARED
    ]
    waiting = _waiting(connection, "live")
    differ: list[str] = []
    total = 0
    for name in names:
        if name in waiting:
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
    detail += _left_out(waiting, "compared")
    yield "gold and marts: equal to a rebuild from nothing", not differ, detail
