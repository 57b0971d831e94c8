from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.silver.accepted_ids import AcceptedIdIndex, id_hashes, value_digests
from pipelines.silver.watermark import UNBOUNDED

SCHEMA = {"event_id": pl.String, "event_time": pl.Int64, "_partition": pl.Int32, "_offset": pl.Int64}


def silver(*rows: tuple[str, int, int, int]) -> AcceptedIdIndex:
    stored = pl.DataFrame(list(rows), schema=SCHEMA, orient="row")

    def load(ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        found = stored.filter(pl.col("event_time") >= since)
        found = found if before is None else found.filter(pl.col("event_time") < before)
        return found if ids is None else found.filter(pl.col("event_id").is_in(list(ids)))

    return AcceptedIdIndex(load, floor=10)


def hashed(*ids: str) -> np.ndarray:
    return id_hashes(pl.Series(list(ids), dtype=pl.String))


def test_what_silver_holds_from_the_floor_on_is_known_at_first_use() -> None:
    seen = silver(("old", 9, 0, 0), ("new", 10, 1, 5))
    assert seen.might_contain(hashed("old", "new", "other")).tolist() == [False, True, False]
    owner = seen.candidates(int(hashed("new")[0]))[0]
    assert (owner.event_time, owner.partition, owner.offset, owner.digest) == (10, 1, 5, 0)


def test_what_lies_below_the_floor_is_looked_up_in_silver() -> None:
    seen = silver(("old", 9, 0, 3), ("older", 1, 0, 0))
    assert [owner.offset for owner in seen.older(["old", "older"], since=5)["old"]] == [3]
    assert "older" not in seen.older(["old", "older"], since=5)


def test_digests_tell_values_apart_and_are_never_zero() -> None:
    one, two, three = value_digests(pl.Series([b"a", b"b", b"a"])).tolist()
    assert one == three != two
    assert min(one, two) > 0


@given(st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=12), st.integers(0, 300))
def test_runs_merged_in_any_way_know_exactly_what_was_added(batches: list[list[int]], probe: int) -> None:
    seen = AcceptedIdIndex(lambda ids, since, before: pl.DataFrame(schema=SCHEMA), UNBOUNDED)
    added: list[int] = []
    for batch in batches:
        size = len(batch)
        ids = np.array(batch, np.uint64)
        seen.add(ids, np.array(batch, np.int64), np.zeros(size, np.int32), ids.astype(np.int64), ids)
        added += batch
    wanted = np.arange(301, dtype=np.uint64)
    assert seen.might_contain(wanted).tolist() == [value in added for value in range(301)]
    assert len(seen.candidates(probe)) == added.count(probe)
    assert len(seen) == len(added)


def test_raising_the_floor_forgets_only_what_lies_before_it() -> None:
    seen = AcceptedIdIndex(lambda ids, since, before: pl.DataFrame(schema=SCHEMA), UNBOUNDED)
    count = 200_000
    ids = np.arange(count, dtype=np.uint64)
    seen.add(ids, ids.astype(np.int64), np.zeros(count, np.int32), ids.astype(np.int64), ids)
    seen.evict_before(150_000)
    assert seen.might_contain(np.array([149_999, 150_000], np.uint64)).tolist() == [False, True]
    assert seen.floor == 150_000
    seen.evict_before(150_010)
    assert seen.floor == 150_000  # not worth it yet
