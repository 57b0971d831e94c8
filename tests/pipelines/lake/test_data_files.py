"""Our data files have the rows, partitions and bounds that PyIceberg's own append writes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts.tables import BRONZE
from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable

_START = datetime(2026, 3, 2, 23, tzinfo=UTC)
_COMPARED = ("record_count", "value_counts", "null_value_counts", "lower_bounds", "upper_bounds", "spec_id")


def _rows(minutes: list[int | None], partition: int = 0) -> pa.Table:
    count = len(minutes)
    columns: dict[str, object] = {
        "partition": [partition] * count,
        "offset": list(range(count)),
        "timestamp": [None if minute is None else _START + timedelta(minutes=minute) for minute in minutes],
        "key": [b"k" if number % 2 else None for number in range(count)],
        "headers": [[{"key": "h", "value": b"v"}]] * count,
        "value": [f'{{"n": {number}}}'.encode() for number in range(count)],
        "ingested_at": [_START] * count,
        "batch_id": [1] * count,
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in BRONZE], schema=BRONZE)


def _compared(files: list[Any]) -> dict[str, list[object]]:
    return {repr(file.partition): [getattr(file, name) for name in _COMPARED] for file in files}


def _files(table: LakeTable) -> list[Any]:
    return [task.file for task in table.tasks()]


@pytest.mark.parametrize(
    "pieces",
    [
        [[]],
        [[0, 1, 2]],
        [[0, 59, 60, 61, 1500]],
        [[0, 60, 1, 61, None, 2, 1500], [61, 1, None]],
        [[None, None]],
    ],
    ids=["nothing", "one day", "days in a row", "days in turn", "no time"],
)
@pytest.mark.parametrize("day_of", ["timestamp", None])
def test_files_are_as_pyiceberg_writes_them(lake: Lake, pieces: list[list[int | None]], day_of: str | None) -> None:
    rows = pa.concat_tables([_rows(piece, number) for number, piece in enumerate(pieces)])
    ours, theirs = (lake.ensure(f"bronze.{name}", BRONZE, day_of=day_of) for name in ("ours", "theirs"))
    ours.append(rows, {})
    theirs.iceberg.append(rows.cast(theirs.iceberg.schema().as_arrow()))
    theirs.reload()
    assert _compared(_files(ours)) == _compared(_files(theirs))
    order = [("partition", "ascending"), ("offset", "ascending")]
    assert ours.read().sort_by(order).equals(theirs.read().sort_by(order))
    assert ours.read().num_rows == rows.num_rows


def test_rows_of_a_partition_keep_their_order(lake: Lake) -> None:
    minutes = [int(minute) for minute in np.random.default_rng(5).integers(0, 4000, 500)]
    table = lake.ensure("bronze.ours", BRONZE, day_of="timestamp")
    table.append(_rows(list(minutes)), {})
    read = table.read()
    days: dict[object, list[int]] = {}
    for moment, offset in zip(read["timestamp"].to_pylist(), read["offset"].to_pylist(), strict=True):
        days.setdefault(moment.date(), []).append(offset)
    assert len(days) == 4
    assert all(offsets == sorted(offsets) for offsets in days.values())


def test_a_write_that_fails_leaves_no_file(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.lake.data_files import DataFileWriter

    table = lake.ensure("bronze.ours", BRONZE, day_of="timestamp")
    write = DataFileWriter.write

    def write_and_fail(self: DataFileWriter, rows: pa.Table) -> None:
        write(self, rows)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DataFileWriter, "write", write_and_fail)
    with pytest.raises(Exception, match="No space left"):
        table.append(_rows([0, 1, 2]), {})
    assert not list(tmp_path.rglob("*.parquet"))
