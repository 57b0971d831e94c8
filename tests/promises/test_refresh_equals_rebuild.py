"""Any split of any log into refreshes gives the rows and keys of gold and marts that one rebuild gives."""

import os
import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.seeds import seeds
from tests.warehouse.compare import differences, read_tables
from tests.warehouse.silver_world import NOW, START, changes_of, random_parts, random_silver
from warehouse.rebuild import rebuild
from warehouse.refresh import aggregates, basket_counts
from warehouse.storage.publish import PUBLISHED
from warehouse.verify import gold_checks
from warehouse.writer import Warehouse


def refreshed_in_parts(seed: int, folder: Path) -> list[str]:
    rows = random_silver(seed)
    dice = random.Random(f"clock {seed}")
    max_open_rows = dice.choice([0, 40, 1 << 40])
    parts = random_parts(seed, rows)
    last_high = START + timedelta(days=dice.randrange(60), hours=dice.randrange(24))
    seconds = random.Random(f"patience {seed}").choice([0.0, 3600.0])  # deferred tables are computed at the end
    open_days = dice.choice([1, 3])

    def open_warehouse(open_days: int) -> Warehouse:
        return Warehouse(
            folder / "gold",
            max_open_rows=max_open_rows,
            open_days=open_days,
            grace=0.0,
            max_deferral_seconds=seconds,
        )

    warehouse = open_warehouse(open_days)
    for number, part in enumerate(parts, start=1):
        # the watermark may step back (R16): days that had ended are open again
        high = last_high if number == len(parts) else dice.choice([None, START + timedelta(days=dice.randrange(60))])
        warehouse.refresh(changes_of(part, high, number), NOW)
        if dice.random() < 0.3:  # another process continues
            warehouse.close()
            warehouse = open_warehouse(2)
    warehouse.complete_deferred(NOW)
    warehouse.close()
    rebuild(changes_of(rows, last_high), folder / "rebuilt.duckdb", NOW)
    found = differences(read_tables(folder / "gold" / PUBLISHED), read_tables(folder / "rebuilt.duckdb"))
    return [f"{difference}" for difference in found]


@pytest.fixture(autouse=True)
def two_products_make_a_basket_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basket_counts, "WIDE", 1)
    monkeypatch.setattr(basket_counts, "MAX_MERGED_UNDEFERRED", 0)
    monkeypatch.setattr(basket_counts, "MAX_PAIRS_UNDEFERRED", 0)


@pytest.mark.parametrize("seed", seeds(0, int(os.environ.get("ANIMEVERSE_TEST_SEEDS", "40")), quick=4))
def test_any_split_into_refreshes_equals_one_rebuild(seed: int, tmp_path: Path) -> None:
    assert refreshed_in_parts(seed, tmp_path) == []


UNKNOWN, NOT_APPLICABLE = "unknown", "not applicable"
SPECIAL = {
    "customer_id": {"C1": UNKNOWN, "C2": NOT_APPLICABLE},
    "product_id": {"P1": UNKNOWN, "P2": NOT_APPLICABLE},
    "title_id": {"A1": UNKNOWN, "A2": NOT_APPLICABLE},
    "store_id": {"ST-X": UNKNOWN, "ST-01": NOT_APPLICABLE},
    "warehouse_id": {"WH-X": UNKNOWN, "WH-01": NOT_APPLICABLE},
    "theater_id": {"TH-01": UNKNOWN},
    "supplier_id": {"SUP-01": UNKNOWN, "SUP-02": NOT_APPLICABLE},
    "payment_method": {"card": UNKNOWN, "cash": NOT_APPLICABLE},
}


@pytest.mark.parametrize("seed", seeds(0, 12, quick=3))
def test_members_may_have_the_names_of_the_special_rows(seed: int, tmp_path: Path) -> None:
    """Rows -1 and -2 have the texts `unknown` and `not applicable`, which events may use as ids."""
    rows, high = random_silver(seed), START + timedelta(days=30)
    renamed = [
        (table, {column: SPECIAL.get(column, {}).get(str(value), value) for column, value in row.items()})
        for table, row in rows
    ]
    warehouse, parts = Warehouse(tmp_path / "gold", max_open_rows=0, open_days=1), random_parts(seed, renamed)
    for number, part in enumerate(parts, start=1):
        warehouse.refresh(changes_of(part, high, number), NOW)
    warehouse.close()
    rebuild(changes_of(renamed, high), tmp_path / "renamed.duckdb", NOW)
    rebuild(changes_of(rows, high), tmp_path / "named.duckdb", NOW)
    published = tmp_path / "gold" / PUBLISHED
    fresh, named = read_tables(tmp_path / "renamed.duckdb"), read_tables(tmp_path / "named.duckdb")
    assert differences(read_tables(published), fresh) == []
    found = gold_checks(published, changes_of(renamed, high, len(parts)), is_rebuild=False)
    assert [finding for finding in found if not finding[1]] == []
    # measures and the number of unknown members do not depend on the names
    assert differences(*({"": tables["marts.daily_summary"]} for tables in (fresh, named))) == []
    for fact, key in (("sales", "customer"), ("sales", "product"), ("sales", "store"), ("cinema_attendance", "title")):
        keys = [tables[f"gold.fct_{fact}"].column(f"{key}_key") for tables in (fresh, named)]
        special, as_named = (sorted(number for number in column.to_pylist() if number < 0) for column in keys)
        assert special == as_named


MASTER = ("customer_profiles", "product_catalog", "anime_schedule")


@pytest.mark.parametrize("seed", seeds(0, 20, quick=3))
def test_added_days_equal_recomputed_days(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Master data comes first, so no fact gets a new key; only repeated receipts prevent adding."""
    added: list[str] = []
    added_sql = aggregates.added_sql
    monkeypatch.setattr(aggregates, "added_sql", lambda *given: added.append(given[1].name) or added_sql(*given))
    rows = random_silver(seed, 150)
    facts = [(table, row) for table, row in rows if table not in MASTER]
    parts = [[entry for entry in rows if entry[0] in MASTER], *random_parts(seed, facts, most=8)]
    high = START + timedelta(days=500)
    warehouse = Warehouse(tmp_path, max_open_rows=1 << 40)
    for number, part in enumerate(parts, start=1):
        warehouse.refresh(changes_of(part, high, number), NOW)
    warehouse.close()
    rebuild(changes_of(rows, high), tmp_path / "rebuilt.duckdb", NOW)
    assert differences(read_tables(tmp_path / PUBLISHED), read_tables(tmp_path / "rebuilt.duckdb")) == []
    assert {"daily_summary", "fct_customer_engagement", "product_daily"} >= set(added) >= {"product_daily"}
