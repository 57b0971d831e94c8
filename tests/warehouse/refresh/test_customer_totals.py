"""Incremental totals equal totals of all facts after every refresh."""

import random
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.seeds import seeds
from tests.warehouse.marts.mart_tables import TOTALS_OF_CUSTOMERS
from tests.warehouse.silver_world import NOW, START, changes_of, random_parts, random_silver
from warehouse.writer import Warehouse

# The base is 4 days behind the last ended one. Days before it may still get facts; days after it may be open again.
_SHOWN = """
    select
        customer_id, first_purchase_date, last_purchase_date, frequency, recency, t, monetary_value,
        lifetime_revenue_amount, historical_clv, lines_without_cost,
    from marts.customer_value"""
_EXPECTED = f"""
    select
        customer_id, first_date, last_date, frequency, recency, t, monetary_value, revenue_amount,
        case when lines = 0 then 0 else gross_margin_amount end, lines_without_cost,
    from ({TOTALS_OF_CUSTOMERS})"""


@pytest.mark.parametrize("seed", seeds(0, 6))
def test_totals_are_those_of_all_facts_after_every_refresh(seed: int, tmp_path: Path) -> None:
    rows, chance = random_silver(seed), random.Random(seed)
    warehouse = Warehouse(tmp_path, max_open_rows=chance.choice([0, 1 << 40]), open_days=1)
    day, compared = 15, 0
    try:
        for number, part in enumerate(random_parts(seed, rows), start=1):
            day = max(0, day + chance.choice([-3, 0, 5, 9]))  # it may step back (R16)
            warehouse.refresh(changes_of(part, START + timedelta(days=day), number), NOW)
            with duckdb.connect(str(warehouse.published), read_only=True) as connection:
                shown, expected = (set(connection.execute(sql).fetchall()) for sql in (_SHOWN, _EXPECTED))
            assert shown == expected
            compared += len(expected)
    finally:
        warehouse.close()
    assert compared


def test_the_base_moves_forward_and_is_invalid_after_an_older_fact(tmp_path: Path) -> None:
    first, *others = random_parts(1, random_silver(1))
    more = [row for part in others for row in part]
    warehouse = Warehouse(tmp_path)
    held = []
    try:
        for number, (part, days) in enumerate(((first, 20), ([], 40), (more, 40)), start=1):
            warehouse.refresh(changes_of(part, START + timedelta(days=days), number), NOW)
            with duckdb.connect(str(warehouse.published), read_only=True) as connection:
                held.append(connection.execute("select base_date from work.customer_base_date").fetchall())
    finally:
        warehouse.close()
    assert held[0] < held[1] == held[2]
