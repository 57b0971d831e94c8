"""Affinity follows the sales and always equals a count of all baskets."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.silver_world import NOW, START, Row, Silver, at, changes_of, random_parts, random_silver
from warehouse.refresh import basket_counts as baskets
from warehouse.writer import Warehouse

AFFINITY = (
    "select antecedent_product_id, consequent_product_id, basket_count, antecedent_count, consequent_count, pair_count,"
    " support, confidence, lift from marts.product_affinity order by all"
)


def recounted(rows: Sequence[tuple[str, Row]], least: int = 2) -> list[tuple[Any, ...]]:
    """A literal reading of R39: distinct products of a sale, ordered pairs, support, confidence, lift."""
    sales = {row["event_id"] for table, row in rows if table == "pos_transactions" and row["event_type"] == "sale"}
    held: dict[str, set[str]] = {}
    for table, row in rows:
        if table == "pos_items" and row["event_id"] in sales:
            held.setdefault(row["event_id"], set()).add(row["product_id"])
    products = Counter(product for basket in held.values() for product in basket)
    pairs = Counter(pair for basket in held.values() for pair in permutations(basket, 2))
    all_baskets = len(held)
    return sorted(
        (
            one, other, all_baskets, products[one], products[other], count,
            count / all_baskets, count / products[one], count * all_baskets / (products[one] * products[other]),
        )
        for (one, other), count in pairs.items() if count >= least
    )  # fmt: skip


def affinity(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse._connection.execute(AFFINITY).fetchall()


def waiting(warehouse: Warehouse) -> tuple[int, int]:
    """Lines of wide baskets not counted yet, and counts not merged yet."""
    counts = "select (select count(*) from work.wide_baskets), (select count(*) from work.new_product_pairs)"
    (rows,) = warehouse._connection.execute(counts).fetchall()
    return int(rows[0]), int(rows[1])


def shop(seed: int) -> list[tuple[str, Row]]:
    """Baskets of all widths, with returns, deletes, late and unordered sales."""
    dice, silver = random.Random(f"shop {seed}"), Silver()
    silver._number = 1000  # event_ids and, below, partitions of their own
    for _ in range(60):
        lines = [(f"P{dice.randrange(12)}", 1, "5") for _ in range(dice.choice([1, 1, 2, 3, 12, 40]))]
        kind, arrival = dice.choice(["sale", "sale", "return"]), dice.choice(["on_time", "late"])
        moment = START + timedelta(days=dice.randrange(20), seconds=dice.randrange(3))
        silver.sale(moment, lines, event_type=kind, arrival=arrival, partition=dice.randrange(5, 8))
    return [*random_silver(seed), *silver.rows]


@pytest.mark.parametrize("patience", [0.0, 3600.0], ids=["at once", "lagging"])
@pytest.mark.parametrize("seed", range(3))
def test_affinity_equals_a_recount_of_all_baskets_after_every_refresh(
    seed: int, patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baskets, "WIDE", 3)
    monkeypatch.setattr(baskets, "MAX_MERGED_UNDEFERRED", 0)
    monkeypatch.setattr(baskets, "MAX_PAIRS_UNDEFERRED", 0)
    rows, seen = shop(seed), []
    warehouse = Warehouse(tmp_path / "gold", max_deferral_seconds=patience, max_open_rows=50)
    for number, part in enumerate(random_parts(seed, rows), start=1):
        seen += part
        warehouse.refresh(changes_of(part, START + timedelta(days=30), number), NOW)
        assert affinity(warehouse) == recounted(seen)
    warehouse.complete_deferred(NOW)
    assert waiting(warehouse)[0] == 0
    assert affinity(warehouse) == recounted(rows)
    warehouse.close()


def test_wide_baskets_and_merging_are_deferred_and_the_mart_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baskets, "MAX_MERGED_UNDEFERRED", 0)
    monkeypatch.setattr(baskets, "MAX_PAIRS_UNDEFERRED", 0)
    warehouse, silver = Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0), Silver()
    silver.sale(at("03-01 12:00"), [("P1", 1, "5"), ("P2", 1, "5")])
    warehouse.refresh(changes_of(silver.rows), NOW)
    assert waiting(warehouse) == (0, 0)
    more = Silver()
    more._number = 10
    more.sale(at("03-01 13:00"), [("P1", 1, "5"), ("P3", 1, "5")])
    more.sale(at("03-01 13:00"), [(f"P{n}", 1, "5") for n in range(baskets.WIDE + 1)])
    warehouse.refresh(changes_of(more.rows, snapshot=2), NOW)
    wide, new = waiting(warehouse)
    assert wide == baskets.WIDE + 1 and new > 0
    expected = recounted([*silver.rows, *more.rows])
    assert affinity(warehouse) == expected != []
    warehouse.close()
    again = Warehouse(tmp_path / "gold", max_deferral_seconds=3600.0)  # another process continues
    assert again.complete_deferred(NOW) is not None
    assert waiting(again) == (0, 0)
    assert affinity(again) == expected
    assert again.complete_deferred(NOW) is None
    again.close()


def test_a_session_may_set_another_minimum_count(tmp_path: Path) -> None:
    warehouse, rows = Warehouse(tmp_path / "gold"), shop(0)
    warehouse.refresh(changes_of(rows), NOW)
    for least in (1, 5):
        warehouse._connection.execute(f"set variable affinity_least_count = {least}")
        assert affinity(warehouse) == recounted(rows, least) != []
    warehouse.close()


def test_a_returned_product_still_counts_in_its_basket(tmp_path: Path) -> None:
    warehouse, silver = Warehouse(tmp_path / "gold"), Silver()
    for hour in (10, 11):
        silver.sale(at(f"03-01 {hour}:00"), [("P1", 1, "5"), ("P2", 1, "5"), ("P1", 2, "5")])
    warehouse.refresh(changes_of(silver.rows), NOW)
    before = affinity(warehouse)
    back = Silver()
    back._number = 10
    back.sale(at("03-01 12:00"), [("P1", 1, "5"), ("P2", 1, "5")], event_type="return")
    back.delete(at("03-01 12:00"), product_id="P1")
    back.product(at("02-01 12:00"), "P2", "3")  # all facts of P2 get new keys
    warehouse.refresh(changes_of(back.rows, snapshot=2), NOW)
    assert affinity(warehouse) == before == recounted(silver.rows)
    warehouse.close()
