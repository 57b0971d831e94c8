"""Which records are releases (R27), decided by lookups alone."""

from datetime import UTC, datetime

import pyarrow as pa

from pipelines.bronze.record_ref import RecordRef
from pipelines.bronze.table import bronze_rows
from pipelines.log.interface import RECORDS
from pipelines.silver.release_waivers import AcceptedRelease, ReleaseLookups, Waivers

TOPIC = "inventory-updates"
QUARANTINED, OLDER, LATER = (0, 1), (0, 2), (0, 99)


def waivers(*accepted: AcceptedRelease) -> Waivers:
    """Lookups in which two records are quarantined, and all but the later one are in earlier batches."""

    def of(refs: object, known: set[RecordRef]) -> set[RecordRef]:
        assert isinstance(refs, list)
        return known & set(refs)

    return Waivers(
        TOPIC,
        ReleaseLookups(
            before=lambda refs, key: of(refs, {QUARANTINED, OLDER, (0, 50)}),
            quarantined=lambda refs: of(refs, {QUARANTINED, LATER}),
            accepted=lambda refs: [release for release in accepted if release.origin in refs],
        ),
    )


def piece(*headers: str | None) -> pa.Table:
    records = [
        {
            "partition": 0,
            "offset": 60 + row,
            "timestamp": None,
            "key": None,
            "headers": None if text is None else [{"key": "animeverse-release", "value": text.encode()}],
            "value": b"{}",
        }
        for row, text in enumerate(headers)
    ]
    return bronze_rows(pa.Table.from_pylist(records, schema=RECORDS), datetime(2026, 1, 1, tzinfo=UTC), 7)


def test_a_header_that_names_an_earlier_quarantined_record_is_a_release() -> None:
    named = (f"{TOPIC}/0/1", None, f"{TOPIC}/0/2", f"{TOPIC}/0/99", "cinema-sales/0/1", "0/1")
    flags = waivers().flags(piece(*named))
    assert flags.is_release.tolist() == [True, False, False, False, False, False]
    assert not flags.is_repeated.any()


def test_a_release_is_repeated_if_an_earlier_copy_was_accepted() -> None:
    earlier, later = (AcceptedRelease(QUARANTINED, (0, offset)) for offset in (50, 70))
    assert waivers(earlier).flags(piece(f"{TOPIC}/0/1")).is_repeated.tolist() == [True]
    assert waivers(later).flags(piece(f"{TOPIC}/0/1")).is_repeated.tolist() == [False]
