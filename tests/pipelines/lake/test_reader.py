from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    made = lake.ensure("silver.numbers", SCHEMA)
    for first in (0, 10):
        numbers = list(range(first, first + 10))
        made.append(pa.table({"n": numbers, "text": [str(n % 3) for n in numbers]}, schema=SCHEMA), {})
    return made


@pytest.mark.parametrize(("low", "high", "count"), [(5, 14, 10), (None, 4, 5), (15, None, 5), (None, None, 20)])
def test_the_bounds_of_a_range_are_inclusive(table: LakeTable, low: int | None, high: int | None, count: int) -> None:
    assert table.read_between("n", low, high, ["n"]).num_rows == count


def test_more_values_than_one_filter_takes_are_found(table: LakeTable) -> None:
    found = list(table.read_in("n", range(-300, 300), ["n", "text"], {"text": "1"}))
    assert sorted(row["n"] for row in found) == [1, 4, 7, 10, 13, 16, 19]


def test_batches_hold_the_same_rows_as_one_read(table: LakeTable) -> None:
    batches = list(table.read_streamed(["n"]))
    assert sorted(n for batch in batches for n in batch.column("n").to_pylist()) == list(range(20))
    appended = table.read_appended(None)
    assert appended is not None and appended.num_rows == 20


def test_the_files_of_a_table_have_bounds(table: LakeTable) -> None:
    ranges = sorted((file.lower, file.upper, file.rows) for file in table.file_ranges("n"))
    assert ranges == [(0, 9, 10), (10, 19, 10)]
    assert sorted((file.lower, file.upper) for file in table.file_ranges("n", most_rows=5)) == [(0, 9), (10, 19)]


def test_a_file_that_the_store_lost_is_named(table: LakeTable) -> None:
    assert table.missing_files() == []
    lost = table.file_paths()[0]
    table.iceberg.io.delete(lost)
    assert table.missing_files() == [lost]


def test_a_table_is_read_as_it_was_at_a_moment(table: LakeTable) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)
    current = table.scan_at(now)
    assert current is not None and current.collect().height == 20
    before = table.scan_at(now - timedelta(days=1))
    assert before is not None and before.collect().height == 0
