from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.silver.accepted_ids import AcceptedIdIndex, id_hashes, value_digests
from pipelines.silver.watermark import UNBOUNDED

SCHEMA = {"event_id": pl.String, "event_time": pl.Int64, "_partition": pl.Int32, "_offset": pl.Int64}


def index(*rows: tuple[str, int, int, int]) -> AcceptedIdIndex:
    stored = pl.DataFrame(list(rows), schema=SCHEMA, orient="row")

    def load(ids: Sequence[str] | None, since: int, before: int | None) -> pl.DataFrame:
        found = stored.filter(pl.col("event_time") >= since)
        found = found if before is None else found.filter(pl.col("event_time") < before)
        return found if ids is None else found.filter(pl.col("event_id").is_in(list(ids)))

    return AcceptedIdIndex(load, floor=10)


def hashed(*ids: str) -> np.ndarray:
    return id_hashes(pl.Series(list(ids), dtype=pl.String))


def test_the_first_use_loads_events_from_the_floor_on() -> None:
    known = index(("old", 9, 0, 0), ("new", 10, 1, 5))
    assert known.might_contain(hashed("old", "new", "other")).tolist() == [False, True, False]
    owner = known.candidates(int(hashed("new")[0]))[0]
    assert (owner.event_time, owner.partition, owner.offset, owner.digest) == (10, 1, 5, 0)


def test_events_below_the_floor_are_read_from_silver() -> None:
    known = index(("old", 9, 0, 3), ("older", 1, 0, 0))
    assert [owner.offset for owner in known.older(["old", "older"], since=5)["old"]] == [3]
    assert "older" not in known.older(["old", "older"], since=5)


def test_digests_distinguish_values_and_are_never_zero() -> None:
    one, two, three = value_digests(pl.Series([b"a", b"b", b"a"])).tolist()
    assert one == three != two
    assert min(one, two) > 0


@given(st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=12), st.integers(0, 300))
def test_the_index_holds_exactly_the_events_added_in_any_batches(batches: list[list[int]], probe: int) -> None:
    known = AcceptedIdIndex(lambda ids, since, before: pl.DataFrame(schema=SCHEMA), UNBOUNDED)
    added: list[int] = []
    for batch in batches:
        size = len(batch)
        ids = np.array(batch, np.uint64)
        known.add(ids, np.array(batch, np.int64), np.zeros(size, np.int32), ids.astype(np.int64), ids)
        added += batch
    wanted = np.arange(301, dtype=np.uint64)
    assert known.might_contain(wanted).tolist() == [value in added for value in range(301)]
    assert len(known.candidates(probe)) == added.count(probe)
    assert len(known) == len(added)


def test_eviction_drops_only_events_before_the_floor() -> None:
    known = AcceptedIdIndex(lambda ids, since, before: pl.DataFrame(schema=SCHEMA), UNBOUNDED)
    count = 200_000
    ids = np.arange(count, dtype=np.uint64)
    known.add(ids, ids.astype(np.int64), np.zeros(count, np.int32), ids.astype(np.int64), ids)
    known.evict_before(150_000)
    assert known.might_contain(np.array([149_999, 150_000], np.uint64)).tolist() == [False, True]
    assert known.floor == 150_000
    known.evict_before(150_010)
    assert known.floor == 150_000  # too few events to drop
