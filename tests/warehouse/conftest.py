"""Fixtures of all warehouse tests."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.empty_warehouse import copy_empty_warehouse
from tests.warehouse.silver_world import NOW, Silver, changes_of
from warehouse.writer import Warehouse

Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse with all tables, after a first refresh without rows."""
    copy_empty_warehouse(tmp_path / "gold")
    made = Warehouse(tmp_path / "gold")
    yield made
    made.close()


@pytest.fixture
def rows(warehouse: Warehouse) -> Rows:
    """Queries the published file."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(warehouse.published), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    return ask


@pytest.fixture
def take(warehouse: Warehouse) -> Callable[..., None]:
    """Refreshes with the rows that a Silver got since the last call."""
    taken: dict[int, int] = {}

    def bring(silver: Silver, high: datetime | None = None) -> None:
        done = taken.get(id(silver), 0)
        warehouse.refresh(changes_of(silver.rows[done:], high), NOW)
        taken[id(silver)] = len(silver.rows)

    return bring
