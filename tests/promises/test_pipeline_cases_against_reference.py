"""Hand-written logs: the pipeline's silver, on disk, equals that of the reference."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.settings import load_settings
from pipelines.lake.catalog import Lake
from tests.promises.test_pipeline_against_reference import outcome_of, run_silver, write_bronze
from tests.reference.contract import Policy
from tests.reference.harness import compare_silver
from tests.reference.samples import record
from tests.reference.silver import Record

POS, CUSTOMER = "pos-transactions", "customer-profiles"
H48 = 48 * 3600
MICRO = 0.000001
LINE: dict[str, Any] = {
    "line_number": 1,
    "product_id": "P",
    "quantity": 1,
    "unit_price": "0.99996",
    "discount_amount": "0.99999",
}


def names(place: str) -> tuple[tuple[str, bytes | None], ...]:
    return (("animeverse-release", place.encode()),)


def too_late() -> list[Record]:
    """Offset 1 is too late."""
    return [record(POS, 0, H48), record(POS, 1, -60, event_id="old", recorded=H48)]


def release(offset: int, batch_id: int, place: str = f"{POS}/0/1", **more: Any) -> Record:
    more.setdefault("event_id", "old")
    return record(POS, offset, -60, recorded=2 * H48, headers=names(place), batch_id=batch_id, **more)


def new_members(number: int) -> Record:
    more: dict[str, Any] = {f"c{number}": number, f"d{number}": "s", "D": [number]}
    return record(POS, number, **more)


LOGS: dict[str, list[Record]] = {
    "R27 a release in the batch of its origin": [*too_late(), release(2, 1)],
    "R27 a release, repeated, then with other content": [
        *too_late(),
        release(2, 2),
        release(3, 2),
        release(4, 3, store_id="x"),
        release(5, 4),
    ],
    "R27 a release that fails is released in its turn": [
        *too_late(),
        release(2, 2, currency="JPY"),
        release(3, 2, f"{POS}/0/2"),
    ],
    "R27 ordinary copies of a released event": [
        *too_late(),
        release(2, 2),
        record(POS, 3, -60, event_id="old", recorded=2 * H48, batch_id=2),
        record(POS, 0, -60, event_id="old", recorded=2 * H48, batch_id=3, partition=1),
        record(POS, 1, 100, event_id="old", recorded=2 * H48, batch_id=3, partition=1),
    ],
    "R27 a header that comes before what it names": [
        record(POS, 0, 1, event_id="E1-0", headers=names(f"{POS}/1/0")),
        record(POS, 0, 1, partition=1, currency="JPY"),
    ],
    "R27 a released change of master data moves no high": [
        record(CUSTOMER, 0, 0, city=None),
        record(CUSTOMER, 1, 0, event_id="E0-0", headers=names(f"{CUSTOMER}/0/0"), batch_id=2),
        record(CUSTOMER, 2, -900, recorded=0, batch_id=2),
    ],
    "R21 an id again, inside and beyond the horizon of each partition": [
        record(POS, 0, 0, event_id="E"),
        record(POS, 0, H48 + MICRO, event_id="E", partition=1),
        record(POS, 1, H48 + 60, partition=1, batch_id=2),
        record(POS, 2, 60, event_id="E", partition=1, recorded=H48 + 60, batch_id=2),
        record(POS, 3, 2 * H48, event_id="E", partition=1, batch_id=3),
        record(POS, 4, 0, event_id="E", partition=2, recorded=2 * H48, batch_id=4),
        record(POS, 5, 0, event_id="E", recorded=2 * H48, batch_id=5),
    ],
    "R21 copies in partitions without a high": [
        record(POS, 0, 0, event_id="E"),
        record(POS, 1, 10**6),
        record(POS, 0, 0, event_id="E", partition=1, recorded=10**6),
        record(POS, 1, 0, event_id="E", partition=1, recorded=10**6, store_id="x"),
        record(POS, 0, MICRO, event_id="E", partition=2, recorded=10**6),
    ],
    "R28 landing files are partition -1": [
        record(POS, 0, 0, partition=-1),
        record(POS, 1, -700, partition=-1, recorded=0),
        record(POS, 0, 0, event_id="E-1-0", batch_id=2),
    ],
    "R19 ids are compared exactly": [
        record(POS, number, event_id=event_id)
        for number, event_id in enumerate(["\x00", "a\x00", "a", "\u00e9", "e\u0301", "😀", "😀"])
    ],
    "R10 warnings at the edges": [
        record(POS, 0, key=b"\xff", channel="store", items=[LINE]),
        record(POS, 1, key=b"", channel="store", store_id=""),
        record(POS, 2, items=[{**LINE, "quantity": 2**63 - 1, "unit_price": "99999999999999.9999"}]),
    ],
    "R29 more new members than columns": [new_members(number) for number in range(35)],
    "R6 the edges of time": [
        record(POS, 0, event_time="2000-01-01T00:00:00Z"),
        record(POS, 0, event_time="9999-12-31T23:59:59.999999Z", recorded=None, partition=1),
        record(POS, 1, partition=1),
    ],
}


@pytest.mark.parametrize("claim", LOGS)
def test_silver_equals_the_reference(claim: str, tmp_path: Path) -> None:
    records = LOGS[claim]
    settings = load_settings(home=tmp_path)
    lake = Lake.open(settings)
    write_bronze(lake, records[0].topic, records)
    run_silver(settings, lake, records[0].topic, chunk=10_000, piece_rows=3)
    assert compare_silver(records, Policy(), outcome_of(settings, lake, records[0].topic)) == []
    lake.close()


def test_r29_null_extra_fields_and_those_of_lines_are_drift(tmp_path: Path) -> None:
    records = [record(POS, 0, x=None), record(POS, 1, items=[{**LINE, "gift": None}]), record(POS, 2)]
    settings = load_settings(home=tmp_path, drift="quarantine")
    lake = Lake.open(settings)
    write_bronze(lake, POS, records)
    run_silver(settings, lake, POS, chunk=10_000, piece_rows=None)
    assert compare_silver(records, Policy(drift="quarantine"), outcome_of(settings, lake, POS)) == []
    lake.close()


def test_r18_a_changed_policy_applies_from_the_next_bronze_batch_on(tmp_path: Path) -> None:
    """Batches 1 to 4 are in bronze when the policy changes, and keep the old one."""
    records = [record(POS, n, (n * 7919) % 3000, recorded=4000, batch_id=1 + n // 10) for n in range(60)]
    strict = Policy(out_of_orderness=timedelta(seconds=1), allowed_lateness=timedelta(seconds=900))
    settings = load_settings(home=tmp_path)
    lake = Lake.open(settings)
    write_bronze(lake, POS, records[:30])
    run_silver(settings, lake, POS, chunk=10_000, piece_rows=4)
    write_bronze(lake, POS, records[30:40])
    lake.close()
    settings = load_settings(home=tmp_path, out_of_orderness="1s", allowed_lateness="900s")
    lake = Lake.open(settings)
    run_silver(settings, lake, POS, chunk=7, piece_rows=None)
    write_bronze(lake, POS, records[40:])
    run_silver(settings, lake, POS, chunk=10_000, piece_rows=4)
    found = outcome_of(settings, lake, POS)
    lake.close()
    del found["ops.watermarks"]  # computed with the current policy
    assert compare_silver(records, lambda one: strict if one.batch_id > 4 else Policy(), found) == []
