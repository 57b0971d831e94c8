from datetime import date

import polars as pl

from pipelines.bronze.removed_range import RemovedRange, recount, with_batch

ENTRIES = pl.DataFrame(
    {
        "batch_id": [1, 2, 2],
        "partition": [0, 0, 1],
        "offset_from": [0, 3, 0],
        "offset_to": [2, 5, 1],
        "polled": [3, 3, 2],
    }
)


def refs(*pairs: tuple[int, int]) -> pl.DataFrame:
    return pl.DataFrame(pairs, {"partition": pl.Int64, "offset": pl.Int64}, orient="row")


def test_records_below_the_first_offset_of_their_partition_are_removed() -> None:
    removed = RemovedRange(1, "2026-03-02", {0: 3}, {0: 3})
    assert [removed.has(0, 2), removed.has(0, 3), removed.has(1, 0)] == [True, False, False]
    frame = refs((0, 2), (0, 3), (1, 0))
    assert frame.filter(removed.is_below).rows() == [(0, 2)]
    assert frame.filter(RemovedRange().is_below).is_empty()


def test_a_range_grows_by_further_records() -> None:
    removed = RemovedRange(1, "2026-03-02", {0: 3}, {0: 3}).extended(2, date(2026, 3, 3), refs((0, 3), (0, 5), (1, 1)))
    assert removed == RemovedRange(2, "2026-03-03", {0: 6, 1: 2}, {0: 5, 1: 1})
    assert str(removed) == "6 records of batches up to 2, ingested before 2026-03-03"


def test_bronze_is_compared_with_a_log_from_the_higher_first_offset() -> None:
    assert RemovedRange(1, "", {0: 3}, {0: 3}).first_held({0: 1, 1: 4}) == {0: 3, 1: 4}


def test_partitions_that_differ_from_the_ledger_are_named() -> None:
    assert RemovedRange(2, "", {0: 6, 1: 2}, {0: 6, 1: 2}).off(ENTRIES) == []
    assert RemovedRange(2, "", {0: 6, 1: 2}, {0: 5, 1: 2}).off(ENTRIES) == [0]
    assert RemovedRange(2, "", {0: 6}, {0: 6}).off(ENTRIES) == [1]


def test_a_record_gets_the_batch_whose_offsets_cover_it() -> None:
    found = with_batch(refs((0, 2), (0, 3), (1, 9)), ENTRIES)
    assert found.sort("partition", "offset")["batch_id"].to_list() == [1, 2, None]


def test_duplicates_are_the_polled_records_that_left_no_row() -> None:
    accepted = refs((0, 0), (0, 3)).with_columns(_arrival=pl.Series(["on_time", "late"]))
    counted = recount(ENTRIES, accepted, refs((0, 1), (1, 0))).sort("batch_id", "partition")
    assert counted.select("accepted_on_time", "accepted_late", "duplicates", "quarantined").rows() == [
        (1, 0, 1, 1),
        (0, 1, 2, 0),
        (0, 0, 1, 1),
    ]
