"""Reads the bronze batches that silver has not consumed."""

from collections.abc import Iterator

from pipelines.bronze.table import BronzeBatch, batch_commits
from pipelines.lake.catalog import LakeTable

_BRONZE_ORDER = [("batch_id", "ascending"), ("partition", "ascending"), ("offset", "ascending")]


def last_batch(bronze: LakeTable) -> int:
    """The last batch in bronze; 0: none."""
    return int(bronze.checkpoint().get("batch-id", 0))


def pending_batches(bronze: LakeTable, topic: str, consumed: int, max_records: int) -> Iterator[BronzeBatch]:
    """The rows of batches after `consumed`, in groups of whole batches with about `max_records` records."""
    bronze.reload()
    last = last_batch(bronze)
    # A compacted file spans many batches and may share one with the next file. A group may end before the first batch
    # of a file, because all earlier batches are in the files before it.
    ranges = sorted(
        (file_range.lower or 0, file_range.rows)
        for file_range in bronze.file_ranges("batch_id", max_records)
        if file_range.upper is None or file_range.upper > consumed
    )
    low, rows = consumed + 1, 0
    for first, count in ranges:
        if rows and first > low and rows + count > max_records:
            yield _read_batches(bronze, topic, low, first - 1)
            low, rows = first, 0
        rows += count
    if low <= last:
        yield _read_batches(bronze, topic, low, last)


def _read_batches(bronze: LakeTable, topic: str, low: int, high: int) -> BronzeBatch:
    rows = bronze.read_between("batch_id", low, high).sort_by(_BRONZE_ORDER)
    newest = batch_commits(bronze).get(high)
    snapshot_id = bronze.snapshot_id
    committed_at = newest.committed_at if newest else bronze.committed_at()
    assert snapshot_id is not None
    assert committed_at is not None
    started_at = newest.started_at if newest and newest.started_at else committed_at
    return BronzeBatch(topic, high, rows, snapshot_id, started_at, committed_at)
