"""The warehouse's gold equals that of the reference for the same accepted events (R31-R37, R41, R43)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipelines.clock import micros
from pipelines.contracts.tables import POS_ITEMS, silver_schema
from pipelines.silver.changes import PARTITIONS, SilverChanges
from tests.reference.adversary import adversarial_world
from tests.reference.contract import Policy
from tests.reference.contract_table import TOPICS
from tests.reference.gold import build
from tests.reference.harness import item_rows, silver_row
from tests.reference.harness_gold import PLAIN, VERSIONED, compare_gold
from tests.reference.segments import segment_history
from tests.reference.silver import Silver, judge
from warehouse.rebuild import rebuild

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FACTS = ("sales", "cinema_attendance", "review", "inventory_movement", "inventory_daily", "customer_engagement")
SEGMENTS = "gold.dim_customer_segment"
TABLES = [*VERSIONED, *PLAIN, *(f"gold.fct_{name}" for name in FACTS), "marts.daily_summary", SEGMENTS]


def changes(silver: Silver) -> SilverChanges:
    """All events that the reference accepted, as gold reads them from silver."""
    tables = {}
    for topic in TOPICS:
        rows = [{**silver_row(one), "_ingested_at": NOW, "_extra": None} for one in silver.accepted(topic)]
        tables[topic.replace("-", "_")] = pa.Table.from_pylist(rows, schema=silver_schema(topic))
    lines = [{**line, "_ingested_at": NOW} for one in silver.accepted(TOPICS[0]) for line in item_rows(one)]
    tables["pos_items"] = pa.Table.from_pylist(lines, schema=POS_ITEMS)
    policy = Policy()
    durations = {
        "out_of_orderness": micros(policy.out_of_orderness),
        "allowed_lateness": micros(policy.allowed_lateness),
        "idle_timeout": micros(policy.idle_timeout),
    }
    states = [
        {
            "topic": topic,
            "is_business": topic in TOPICS[:4],
            "partition": partition,
            "high": state.high,
            "last_record_at": state.last_record_at,
            **durations,
        }
        for (topic, partition), state in silver.partitions.items()
    ]
    snapshots = {f"silver.{table}": 1 for table in tables}
    return SilverChanges(tables, snapshots, pa.Table.from_pylist(states, schema=PARTITIONS))


def read(file: Path) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for table in TABLES:
            cursor = connection.execute(f"select * from {table}")
            names = [column[0] for column in cursor.description or ()]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_rebuild_equals_the_reference(seed: int, tmp_path: Path) -> None:
    silver = judge(adversarial_world(seed, size=120))
    rebuild(changes(silver), tmp_path / "rebuilt.duckdb", NOW)
    gold, actual = build(silver), read(tmp_path / "rebuilt.duckdb")
    found = compare_gold(gold, actual)
    assert found == [], "\n".join(found[:40])
    ours = {
        (one.customer_id, one.scores.recency, one.scores.frequency, one.scores.monetary, one.valid_from, one.valid_to)
        for one in segment_history(gold, silver, lambda _: "")
    }
    names = ("customer_id", "recency_score", "frequency_score", "monetary_score", "valid_from", "valid_to")
    theirs = {tuple(row[name] for name in names) for row in actual[SEGMENTS] if row["customer_segment_key"] > 0}
    assert theirs == ours
