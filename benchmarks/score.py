"""Check a home independently: this module imports nothing of the pipeline.

It reads bronze and silver with PyIceberg through the catalog file, and gold with DuckDB from the published file. Each
check returns the differences as text. A run without differences is valid.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog  # noqa: TID251 a foreign reader

from benchmarks.corpus import Truth, checksum, numbers_of

PUBLISHED = Path("gold", "animeverse.duckdb")


@dataclass(frozen=True, slots=True)
class World:
    """Expected outcome of a load over all topics."""

    accepted: Mapping[str, int]  # by silver table
    quarantined: int
    net_sales: Mapping[date, Decimal]


@contextmanager
def tables(home: Path) -> Iterator[Any]:
    """Provide a function from a table's full name to the PyIceberg table."""
    uri = f"sqlite:///{home / 'catalog.db'}"
    catalog = load_catalog("animeverse", type="sql", uri=uri, warehouse=f"file://{home / 'lake'}")
    try:
        yield catalog.load_table
    finally:
        catalog.engine.dispose()  # type: ignore[attr-defined]


def sales_faults(home: Path, truth: Truth) -> list[str]:
    """Return the differences of a home that processed only the corpus."""
    with tables(home) as table:
        ids = numbers_of(table("silver.pos_transactions").scan(selected_fields=("event_id",)).to_arrow()["event_id"])
        found = {
            "bronze records": table("bronze.pos_transactions").scan().count(),
            "silver events": len(ids),
            "silver events, each once": int(np.count_nonzero(np.bincount(ids, minlength=truth.events) == 1)),
            "silver id checksum": checksum(ids),
            "silver lines": table("silver.pos_items").scan().count(),
            "quarantined": table("silver.quarantine").scan().count(),
        }
    expected = {
        "bronze records": truth.records,
        "silver events": truth.events,
        "silver events, each once": truth.events,
        "silver id checksum": truth.checksum,
        "silver lines": truth.lines,
        "quarantined": 0,
    }
    net = Decimal(truth.cents) / 100
    gold = {"gold lines": truth.lines, "gold events": truth.events, "gold net sales": net, "net sales by day": net}
    rows = _query(
        home,
        "select count(*), count(distinct event_id), sum(net_sales_amount),"
        " (select sum(net_sales_amount) from marts.daily_summary) from gold.fct_sales",
    )
    return differences(expected | gold, found | dict(zip(gold, rows[0], strict=True)))


def world_faults(home: Path, world: World) -> list[str]:
    """Return the differences of a home that processed a world."""
    with tables(home) as table:
        found = {name: table(f"silver.{name}").scan().count() for name in world.accepted}
        found["quarantined"] = table("silver.quarantine").scan().count()
    rows = _query(home, "select date, net_sales_amount from marts.daily_summary where net_sales_amount <> 0")
    expected = {f"net sales of {day}": amount for day, amount in world.net_sales.items() if amount}
    days = {f"net sales of {day}": amount for day, amount in rows}
    return differences({**world.accepted, "quarantined": world.quarantined, **expected}, found | days)


def first_to_published(home: Path) -> float:
    """Return the seconds from the first batch's first poll to the last one's publication, from the ledger."""
    with tables(home) as table:
        times = table("ops.batches").scan(selected_fields=("started_at", "gold_at")).to_arrow()
    return float((pc.max(times["gold_at"]).as_py() - pc.min(times["started_at"]).as_py()).total_seconds())


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return one line per difference."""
    names = dict.fromkeys([*expected, *found])
    return [
        f"{name}: expected {expected.get(name)}, found {found.get(name)}"
        for name in names
        if expected.get(name) != found.get(name)
    ]


def _query(home: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(home / PUBLISHED), read_only=True)) as connection:
        return connection.execute(query).fetchall()
