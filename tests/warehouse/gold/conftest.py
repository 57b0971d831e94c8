"""A small literal world of silver, and the gold that the models make of it."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.warehouse.conftest import Rows
from tests.warehouse.silver_world import NOW, Silver, at, changes_of
from warehouse.rebuild import rebuild

SEEDS = {
    "stores": "store_id,name,city,country,opened_on\nST-01,Main,Kyoto,JP,2020-04-01\n",
    "theaters": "theater_id,name,city,seats\nTH-01,Hall 1,Kyoto,100\n",
    "suppliers": "supplier_id,name,country,lead_time_days\nSUP-01,Acme,JP,7\n",
    "warehouses": "warehouse_id,name,city,country\nWH-01,Depot,Osaka,JP\n",
}


def world() -> Silver:
    """C1 becomes a gold customer and P1 more expensive on 3 March. C2 is deleted. P9 is not in the catalog."""
    silver = Silver()
    silver.customer(at("03-01 00:00"), "C1", "none")
    silver.customer(at("03-03 00:00"), "C1", "gold")
    silver.customer(at("03-01 00:00"), "C2")
    silver.delete(at("03-02 12:00"), customer_id="C2")
    silver.product(at("03-01 00:00"), "P1", "3")
    silver.product(at("03-03 00:00"), "P1", "4")
    silver.title(at("03-01 00:00"), "A1", "showing")
    silver.title(at("03-05 00:00"), "A1", "ended")
    silver.sale(at("03-02 10:00"), [("P1", 2, "10/1.5")], "C1", channel="store", store_id="ST-01")
    silver.sale(at("03-02 10:01"), [("P9", 1, "5")], channel="store")
    silver.sale(at("03-04 09:05"), [("P1", 1, "10")], "C1", event_type="return")
    begins = at("03-05 20:00")
    silver.booking(at("03-02 11:00"), "A1", 3, "12.5", "C1", concession_amount=Decimal(4), screening_time=begins)
    silver.booking(at("03-04 11:00"), "A1", 1, "12.5", "C1", event_type="cancellation", screening_time=begins)
    silver.movement(at("03-02 08:00"), "P1", 10, unit_cost=Decimal("2.5"))
    silver.movement(at("03-04 08:00"), "P1", 3, "shrinkage", supplier_id=None)
    silver.review(at("03-03 15:30"), "C1", "P1", rating=5, helpful_votes=2)
    silver.review(at("03-03 15:31"), "C1", None, "A1")
    return silver


@pytest.fixture(scope="session")
def gold_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gold_models")
    for name, text in SEEDS.items():
        (folder / f"{name}.csv").write_text(text)
    rebuild(changes_of(world().rows, at("03-06 00:10")), folder / "rebuilt.duckdb", NOW, seeds=folder)
    return folder / "rebuilt.duckdb"


@pytest.fixture
def gold(gold_file: Path) -> Iterator[Rows]:
    """Queries the gold of `world`."""
    with duckdb.connect(str(gold_file), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield lambda sql: connection.execute(sql).fetchall()
