"""Stores, theaters, suppliers and warehouses, which no topic contains, read from `warehouse/seeds/*.csv`.

The same files fill gold's dimensions (R38), so events and warehouse always agree about ids and seats.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SEEDS = Path(__file__).resolve().parent.parent / "warehouse" / "seeds"


@dataclass(frozen=True, slots=True)
class Places:
    """Ids and the attributes that the generators need, in file order."""

    store_ids: tuple[str, ...]
    store_cities: tuple[str, ...]
    theater_ids: tuple[str, ...]
    theater_cities: tuple[str, ...]
    theater_seats: tuple[int, ...]
    supplier_ids: tuple[str, ...]
    supplier_lead_days: tuple[int, ...]
    warehouse_ids: tuple[str, ...]


def _rows(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def places() -> Places:
    """Return the places, read once."""
    stores, theaters, suppliers = _rows("stores"), _rows("theaters"), _rows("suppliers")
    return Places(
        store_ids=tuple(row["store_id"] for row in stores),
        store_cities=tuple(row["city"] for row in stores),
        theater_ids=tuple(row["theater_id"] for row in theaters),
        theater_cities=tuple(row["city"] for row in theaters),
        theater_seats=tuple(int(row["seats"]) for row in theaters),
        supplier_ids=tuple(row["supplier_id"] for row in suppliers),
        supplier_lead_days=tuple(int(row["lead_time_days"]) for row in suppliers),
        warehouse_ids=tuple(row["warehouse_id"] for row in _rows("warehouses")),
    )
