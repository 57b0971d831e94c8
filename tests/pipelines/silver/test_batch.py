"""The transform of bronze rows, without any table."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.bronze.table import BatchCommit, BronzeBatch, bronze_rows
from pipelines.config.policies import Policy
from pipelines.config.settings import load_settings
from pipelines.contracts.registry import CONTRACTS
from pipelines.errors import DriftFrozenError
from pipelines.log.interface import RECORDS
from pipelines.parsing.parse import Layouts
from pipelines.silver.accepted_ids import AcceptedIdIndex
from pipelines.silver.batch import Lookups, Outcome, after_batch, transform
from pipelines.silver.policy_history import PolicyHistory
from pipelines.silver.release_waivers import ReleaseLookups
from pipelines.silver.state import TopicState
from pipelines.silver.watermark import PartitionState
from tests.pipelines.small_home import DAY, movement, sale

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NO_IDS = pl.DataFrame(
    schema={"event_id": pl.String, "event_time": pl.Int64, "_partition": pl.Int32, "_offset": pl.Int64}
)


@pytest.fixture
def policy(tmp_path: Path, without_settings: None) -> Policy:
    return load_settings(home=tmp_path, drift="evolve").policy("inventory-updates")


def batch(*values: Any, topic: str = "inventory-updates", batch_id: int = 1) -> BronzeBatch:
    records = [
        {
            "partition": 0,
            "offset": offset,
            "timestamp": DAY + timedelta(days=1),
            "key": None,
            "headers": None,
            "value": value if isinstance(value, bytes) else json.dumps(value).encode(),
        }
        for offset, value in enumerate(values)
    ]
    rows = bronze_rows(pa.Table.from_pylist(records, schema=RECORDS), NOW, batch_id)
    return BronzeBatch(topic, batch_id, rows, 77, NOW, NOW)


def outcome(read: BronzeBatch, policy: Policy, **options: Any) -> Outcome:
    rows = read.rows.select(["partition", "offset", "value"]).to_pylist()
    values = {(row["partition"], row["offset"]): row["value"] for row in rows}
    releases = ReleaseLookups(before=lambda refs, key: set(), quarantined=lambda refs: set(), accepted=lambda refs: [])
    lookups = Lookups(
        AcceptedIdIndex(lambda ids, since, before: NO_IDS), lambda refs: {ref: values[ref] for ref in refs}, releases
    )
    return transform(
        CONTRACTS[read.topic],
        read,
        TopicState(0, {}),
        (),
        PolicyHistory.starting_with(policy),
        lookups,
        {read.batch_id: BatchCommit(read.snapshot_id, read.started_at, read.committed_at)},
        lambda: NOW,
        layouts=Layouts(),
        **options,
    )


def test_each_record_gets_one_verdict(policy: Policy) -> None:
    found = outcome(batch(movement(0), movement(0), movement(1), b"{no json"), policy)
    assert found.accepted.column("event_id").to_pylist() == ["e0", "e1"]
    assert found.quarantined.column("reasons").to_pylist() == [["invalid_json"]]
    (entry,) = found.ledger
    (counts,) = entry.partitions
    assert (counts.polled, counts.accepted_on_time, counts.duplicates, counts.quarantined) == (4, 2, 1, 1)
    assert (entry.bronze_snapshot_id, entry.silver_snapshot_id, counts.reasons) == (77, None, {"invalid_json": 1})


def test_the_state_after_a_batch_has_the_greatest_times(policy: Policy) -> None:
    found = outcome(batch(movement(1), movement(0)), policy)
    (state,) = found.partitions.values()
    accepted = pl.DataFrame(pl.from_arrow(found.accepted))
    assert state == PartitionState(
        accepted["event_time"].dt.epoch("us").max(), accepted["_recorded_at"].dt.epoch("us").max()
    )


@pytest.mark.parametrize("piece_rows", [1, 3])
def test_the_size_of_pieces_changes_no_row(policy: Policy, piece_rows: int) -> None:
    values = [movement(number % 4, **({"colour": "red"} if number == 2 else {})) for number in range(9)]
    whole, pieces = (outcome(batch(*values), policy, piece_rows=size) for size in (None, piece_rows))
    assert pieces.accepted.select(whole.accepted.column_names).equals(whole.accepted)
    assert pieces.quarantined.equals(whole.quarantined)
    assert (pieces.ledger, pieces.partitions, pieces.new_columns) == (whole.ledger, whole.partitions, ["colour"])


def test_events_with_lines_give_a_row_for_each_line(policy: Policy) -> None:
    found = outcome(batch(sale(0, "1.5", DAY), sale(1, "2.5", DAY), topic="pos-transactions"), policy)
    assert found.lines is not None
    assert found.lines.column("event_id").to_pylist() == found.accepted.column("event_id").to_pylist()
    assert outcome(batch(movement(0)), policy).lines is None


def test_freeze_stops_at_the_first_unknown_field(policy: Policy, tmp_path: Path) -> None:
    frozen = load_settings(home=tmp_path, drift="freeze").policy("inventory-updates")
    with pytest.raises(DriftFrozenError, match=r"colour at partition 0, offset 1"):
        outcome(batch(movement(0), movement(1, colour="red")), frozen)


def test_rows_of_consumed_batches_are_left_out() -> None:
    first, second = (batch(movement(0), batch_id=batch_id) for batch_id in (1, 2))
    both = BronzeBatch(second.topic, 2, pa.concat_tables([first.rows, second.rows]), 77, NOW, NOW)
    assert after_batch(both, 1).rows.equals(second.rows)
