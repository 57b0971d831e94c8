"""Copies within a batch and of accepted events (R19-R21)."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.deduplicate import ACCEPTED, CONFLICT, DUPLICATE, UNKNOWN, Candidates, find_duplicates

COLUMNS = {"event_id": pl.String, "event_time": pl.Int64, "_partition": pl.Int32, "_offset": pl.Int64}
BRONZE = {(0, 1): b'{"event_id":"old","a":1}', (0, 2): b'{"event_id":"older","a":1}'}


def index(*accepted: tuple[str, int, int, int], floor: int = 0) -> AcceptedIdIndex:
    """The index of a silver table with these events: event_id, event_time, partition, offset."""
    stored = pl.DataFrame(list(accepted), schema=COLUMNS, orient="row")

    def load(ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        found = stored.filter(pl.col("event_time") >= since)
        found = found if before is None else found.filter(pl.col("event_time") < before)
        return found if ids is None else found.filter(pl.col("event_id").is_in(list(ids)))

    return AcceptedIdIndex(load, floor)


def fetch(refs: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
    return {ref: BRONZE[ref] for ref in refs if ref in BRONZE}


def candidates(*values: bytes, event_id: str = "E", bound: int = 0, is_repeated: bool = False) -> Candidates:
    count = len(values)
    return Candidates(
        event_ids=pl.Series([event_id] * count, dtype=pl.String),
        event_times=np.full(count, 50, np.int64),
        bounds=np.full(count, bound, np.int64),
        partitions=np.zeros(count, np.int32),
        offsets=np.arange(100, 100 + count, dtype=np.int64),
        values=pl.Series(list(values), dtype=pl.Binary),
        is_repeated=np.full(count, is_repeated, bool),
    )


def test_the_first_event_of_a_batch_is_accepted_and_copies_are_compared_with_it() -> None:
    found = find_duplicates(candidates(b'{"a":1,"b":2}', b'{"b":2.0,"a":1}', b'{"a":3}'), index(), fetch)
    assert found.tolist() == [ACCEPTED, DUPLICATE, CONFLICT]


def test_accepted_candidates_are_copied_in_the_next_batch() -> None:
    known = index()
    assert find_duplicates(candidates(b'{"a":1}'), known, fetch).tolist() == [ACCEPTED]
    assert find_duplicates(candidates(b'{"a":1}'), known, fetch).tolist() == [DUPLICATE]


def test_events_are_compared_with_the_records_in_bronze() -> None:
    accepted = index(("old", 10, 0, 1))
    values = (b'{"a":1.0, "event_id":"old"}', b'{"a":2,"event_id":"old"}')
    assert find_duplicates(candidates(*values, event_id="old"), accepted, fetch).tolist() == [DUPLICATE, CONFLICT]


def test_a_copy_is_unknown_where_bronze_no_longer_has_the_original() -> None:
    assert find_duplicates(candidates(b"{}", event_id="gone"), index(("gone", 10, 0, 9)), fetch).tolist() == [UNKNOWN]


def test_events_below_the_floor_are_looked_up_in_silver() -> None:
    accepted = index(("older", 10, 0, 2), floor=20)
    value = b'{"event_id":"older","a":1}'
    assert find_duplicates(candidates(value, event_id="older", bound=5), accepted, fetch).tolist() == [DUPLICATE]


def test_an_event_before_the_bound_is_no_original() -> None:
    accepted = index(("old", 10, 0, 1))
    assert find_duplicates(candidates(b"{}", event_id="old", bound=11), accepted, fetch).tolist() == [ACCEPTED]


def test_a_repeated_release_is_a_duplicate_under_any_id() -> None:
    assert find_duplicates(candidates(b"{}", event_id="new", is_repeated=True), index(), fetch).tolist() == [DUPLICATE]


def test_no_candidates_have_no_verdicts() -> None:
    assert find_duplicates(candidates(), index(), fetch).tolist() == []
