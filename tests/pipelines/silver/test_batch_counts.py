"""Ledger entries of batches that were counted in several pieces."""

from pipelines.silver.batch_counts import merge_entries
from pipelines.silver.ledger import BatchEntry, FieldDrift, PartitionCounts


def entry(batch_id: int, *counts: PartitionCounts, **more: object) -> BatchEntry:
    made = BatchEntry(batch_id, None, None, None, partitions=list(counts))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_the_pieces_of_a_batch_become_one_entry() -> None:
    first = entry(
        1,
        PartitionCounts(1, 5, 9, 3, 1, 0, 0, 2, {"future": 2}),
        warned={"key_mismatch": 1},
        drift=[FieldDrift("colour", 1, 1, 5, "red")],
    )
    second = entry(
        1,
        PartitionCounts(0, 0, 0, 1, 1, 0, 0, 0),
        PartitionCounts(1, 10, 12, 3, 0, 1, 1, 1, {"future": 1, "too_late": 1}),
        warned={"key_mismatch": 2, "money_rounded": 1},
        drift=[FieldDrift("colour", 2, 1, 10, "blue"), FieldDrift("size", 1, 1, 11, "3")],
    )
    (merged,) = merge_entries([first, second])
    assert merged == entry(
        1,
        PartitionCounts(0, 0, 0, 1, 1, 0, 0, 0),
        PartitionCounts(1, 5, 12, 6, 1, 1, 1, 3, {"future": 3, "too_late": 1}),
        warned={"key_mismatch": 3, "money_rounded": 1},
        drift=[FieldDrift("colour", 3, 1, 5, "red"), FieldDrift("size", 1, 1, 11, "3")],
    )


def test_entries_of_different_batches_stay_apart() -> None:
    entries = [entry(batch_id, PartitionCounts(0, 0, 0, 1, 1, 0, 0, 0)) for batch_id in (1, 2)]
    assert merge_entries(entries) == entries
