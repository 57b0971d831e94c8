"""The pipeline's silver, from bronze tables on disk, equals that of the reference."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipelines.bronze.position import Position
from pipelines.bronze.table import bronze_rows, ensure_bronze
from pipelines.clock import from_micros, micros, utc_now
from pipelines.config.settings import Settings, load_settings
from pipelines.contracts.tables import checkpoint_table
from pipelines.lake.catalog import Lake
from pipelines.log.interface import RECORDS
from pipelines.silver.ledger import Ledger
from pipelines.silver.quarantine_table import Quarantine
from pipelines.silver.topic import SilverTopic
from pipelines.silver.watermark import partition_watermarks, topic_watermark
from tests.reference.adversary import adversarial_log
from tests.reference.contract import Policy
from tests.reference.contract_table import KEYS
from tests.reference.harness import compare_silver
from tests.reference.silver import Record
from tests.seeds import seeds

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def write_bronze(lake: Lake, topic: str, records: Sequence[Record]) -> None:
    table = ensure_bronze(lake, topic)
    for batch_id in sorted({record.batch_id for record in records}):
        batch = [record for record in records if record.batch_id == batch_id]
        rows = pa.Table.from_pylist(
            [
                {
                    "partition": record.partition,
                    "offset": record.offset,
                    "timestamp": record.timestamp,
                    "key": record.key,
                    "headers": [{"key": key, "value": value} for key, value in record.headers],
                    "value": record.value,
                }
                for record in batch
            ],
            schema=RECORDS,
        )
        table.append(bronze_rows(rows, NOW, batch_id), Position(batch_id, {}, "log", "topic").checkpoint())


def run_silver(settings: Settings, lake: Lake, topic: str, *, chunk: int, piece_rows: int | None) -> None:
    quarantine, ledger = Quarantine(lake), Ledger(lake)
    silver = SilverTopic(lake, topic, settings.policy(topic), piece_rows=piece_rows)
    for batch in silver.pending(chunk):
        outcome = silver.transform(batch, quarantine, utc_now)
        assert outcome is not None
        quarantine.commit([outcome])
        silver.commit(outcome)
    ledger.flush({topic: silver.ledger})


def rows_of(lake: Lake, name: str) -> list[dict[str, Any]]:
    return lake.scan(name).collect().to_dicts()


def outcome_of(settings: Settings, lake: Lake, topic: str) -> dict[str, list[dict[str, Any]]]:
    policy = settings.policy(topic)
    silver = SilverTopic(lake, topic, policy)
    durations = {"out_of_orderness": micros(policy.out_of_orderness), "idle_timeout": micros(policy.idle_timeout)}
    mark = topic_watermark(silver.partitions, **durations)
    found = {
        checkpoint_table(topic): rows_of(lake, checkpoint_table(topic)),
        "silver.quarantine": [row for row in rows_of(lake, "silver.quarantine") if row["topic"] == topic],
        "ops.rule_counts": [row for row in rows_of(lake, "ops.rule_counts") if row["topic"] == topic],
        "ops.watermarks": [
            {
                "topic": topic,
                "partition": share.partition,
                "high": None if share.high is None else from_micros(share.high),
                "last_record_at": None if share.last_record_at is None else from_micros(share.last_record_at),
                "is_idle": share.is_idle,
                "watermark": None if mark is None else from_micros(mark),
            }
            for share in partition_watermarks(silver.partitions, **durations)
        ],
    }
    if topic == "pos-transactions":
        found["silver.pos_items"] = rows_of(lake, "silver.pos_items")
    return found


def check(seed: int, topic: str, home: Path, policy: Policy | None = None, **settings: Any) -> None:
    rng = random.Random(seed)
    records = adversarial_log(seed, topic, policy)
    made = load_settings(home=home, **settings)
    lake = Lake.open(made)
    write_bronze(lake, topic, records)
    run_silver(made, lake, topic, chunk=rng.choice([1, 30, 10_000]), piece_rows=rng.choice([None, 1, 13]))
    assert compare_silver(records, policy or Policy(), outcome_of(made, lake, topic)) == []
    lake.close()


@pytest.mark.parametrize("topic", sorted(KEYS))
@pytest.mark.parametrize("seed", seeds(0, 3))
def test_silver_equals_the_reference_on_adversarial_logs(topic: str, seed: int, tmp_path: Path) -> None:
    check(seed, topic, tmp_path)


@pytest.mark.parametrize("seed", seeds(100, 103))
def test_silver_equals_the_reference_under_drift_policy_quarantine(seed: int, tmp_path: Path) -> None:
    check(seed, "pos-transactions", tmp_path, Policy(drift="quarantine"), drift="quarantine")


def test_any_size_of_batches_and_pieces_gives_the_same_rows(tmp_path: Path) -> None:
    records = adversarial_log(7, "pos-transactions", size=300)
    frames: list[list[pl.DataFrame]] = []
    for number, (chunk, piece_rows) in enumerate([(1, 1), (50, 7), (10_000, None)]):
        settings = load_settings(home=tmp_path / str(number))
        lake = Lake.open(settings)
        write_bronze(lake, "pos-transactions", records)
        run_silver(settings, lake, "pos-transactions", chunk=chunk, piece_rows=piece_rows)
        names = ["silver.pos_transactions", "silver.pos_items", "silver.quarantine"]
        frames.append([lake.scan(name).drop("quarantined_at", strict=False).collect() for name in names])
        lake.close()
    keys = [["_partition", "_offset"], ["_partition", "_offset", "line_number"], ["partition", "offset"]]
    first, *others = ([frame.sort(key) for frame, key in zip(found, keys, strict=True)] for found in frames)
    for other in others:
        assert all(one.equals(two) for one, two in zip(first, other, strict=True))
