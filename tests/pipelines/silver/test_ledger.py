"""The stored form of ledger entries, which are in the snapshot summaries of checkpoint tables."""

import json
from datetime import UTC, datetime

from pipelines.silver.ledger import BatchEntry, FieldDrift, PartitionCounts, encode_entries, fill_in_commit

AT = datetime(2026, 3, 2, 12, 0, 0, 933_000, tzinfo=UTC)
ENTRY = BatchEntry(
    batch_id=2,
    started_at=None,
    bronze_at=AT,
    bronze_snapshot_id=9101926308129660251,
    partitions=[
        PartitionCounts(0, 0, 7, 7, 3, 1, 0, 3, {"enum:event_type": 1, "future": 2}),
        PartitionCounts(2, 9, 9, 1, 1, 0, 0, 0),
    ],
    warned={"key_mismatch": 3},
    drift=[FieldDrift("colour", 2, 0, 5, "räd")],
)
STORED = (
    '[{"batch_id":2,"started_at":null,"bronze_at":"2026-03-02T12:00:00.933000+00:00",'
    '"bronze_snapshot_id":9101926308129660251,"silver_at":null,"silver_snapshot_id":null,"partitions":['
    '{"partition":0,"offset_from":0,"offset_to":7,"polled":7,"accepted_on_time":3,"accepted_late":1,"duplicates":0,'
    '"quarantined":3,"reasons":{"enum:event_type":1,"future":2}},'
    '{"partition":2,"offset_from":9,"offset_to":9,"polled":1,"accepted_on_time":1,"accepted_late":0,"duplicates":0,'
    '"quarantined":0,"reasons":{}}],"warned":{"key_mismatch":3},"drift":[["colour",2,0,5,"r\\u00e4d"]]}]'
)


def test_an_entry_is_stored_with_its_keys_in_a_fixed_order() -> None:
    assert encode_entries([ENTRY]) == STORED


def test_a_stored_entry_is_read_back_unchanged() -> None:
    (read,) = (BatchEntry.from_dict(one) for one in json.loads(STORED))
    assert read == ENTRY
    assert encode_entries([read]) == STORED


def test_the_commit_is_filled_in_only_where_it_is_unknown() -> None:
    known, unknown = (BatchEntry.from_dict(json.loads(STORED)[0]) for _ in range(2))
    fill_in_commit([known], 1, AT)
    fill_in_commit([known, unknown], 2, None)
    assert (known.silver_snapshot_id, known.silver_at) == (1, AT)
    assert (unknown.silver_snapshot_id, unknown.silver_at) == (2, None)
