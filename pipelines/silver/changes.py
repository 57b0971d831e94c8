"""What a refresh of gold reads: silver rows since the last refresh, and the state that watermarks follow from."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from pipelines.clock import from_micros, micros
from pipelines.config.policies import Policy
from pipelines.contracts.registry import CONTRACTS, TOPICS
from pipelines.contracts.tables import TIMESTAMP, silver_tables
from pipelines.errors import PermanentError
from pipelines.lake.catalog import Lake
from pipelines.silver.state import read_state
from pipelines.silver.watermark import PartitionState

StoredState: TypeAlias = tuple[Mapping[int, PartitionState], Policy]

PARTITIONS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("is_business", pa.bool_(), nullable=False),  # decides when days end
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("high", TIMESTAMP),
        pa.field("last_record_at", TIMESTAMP),
        pa.field("out_of_orderness", pa.int64(), nullable=False),  # microseconds, as the next two
        pa.field("allowed_lateness", pa.int64(), nullable=False),
        pa.field("idle_timeout", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class SilverChanges:
    """Silver since the snapshots that gold reflects.

    `tables` maps a silver table's short name (`pos_items`) to its new rows; a missing table has none. `snapshots` maps
    its full name (`silver.pos_items`) to the snapshot that gold reflects after a refresh with these rows.
    """

    tables: Mapping[str, pa.Table]
    snapshots: Mapping[str, int]
    partitions: pa.Table  # schema PARTITIONS, all topics


class SnapshotGoneError(PermanentError):
    """The snapshot that gold reflects is expired. Rebuild gold from all silver rows."""


def silver_changes(
    lake: Lake,
    reflected: Mapping[str, int],
    at_hand: Mapping[str, tuple[pa.Table, int]] | None = None,
    state: Mapping[str, StoredState] | None = None,
) -> SilverChanges:
    """All silver rows after the snapshots that gold reflects; for {}, all silver rows.

    `at_hand` are rows in memory that need no read, by full table name, with the snapshot that they lead to. `state` is
    as `stored_state` returns it. Raises SnapshotGoneError.
    """

    def read(name: str) -> tuple[pa.Table, int] | None:
        if at_hand is not None and name in at_hand:
            return at_hand[name]
        table = lake.find(name)
        if table is None or table.rows_snapshot_id is None:
            return None
        rows = table.read_appended(reflected.get(name))
        if rows is None:
            raise SnapshotGoneError(f"snapshot {reflected.get(name)} of {name} is expired")
        return rows, table.rows_snapshot_id

    names = gold_sources()
    if reflected:
        found = [read(name) for name in names]
    else:  # all rows of all tables: one is read from disk while another is decoded
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(read, names))
    tables: dict[str, pa.Table] = {}
    snapshots: dict[str, int] = {}
    for name, one in zip(names, found, strict=True):
        if one is not None:
            tables[name.removeprefix("silver.")], snapshots[name] = one
    return SilverChanges(tables, snapshots, partition_rows(state if state is not None else stored_state(lake)))


def gold_sources() -> list[str]:
    """The silver tables that gold reads."""
    return [name for topic in TOPICS for name in silver_tables(topic)]


def stored_state(lake: Lake) -> dict[str, StoredState]:
    """Topic -> (per-partition state, policy), as the checkpoints store them."""
    return {topic: found for topic in TOPICS if (found := read_state(lake, topic)) is not None}


def partition_rows(state: Mapping[str, StoredState]) -> pa.Table:
    """What `stored_state` returns, as rows of `SilverChanges.partitions`."""
    return pa.Table.from_pylist(
        [
            {
                "topic": topic,
                "is_business": not CONTRACTS[topic].is_master,
                "partition": partition,
                "high": None if pair.high is None else from_micros(pair.high),
                "last_record_at": None if pair.last_record_at is None else from_micros(pair.last_record_at),
                "out_of_orderness": micros(policy.out_of_orderness),
                "allowed_lateness": micros(policy.allowed_lateness),
                "idle_timeout": micros(policy.idle_timeout),
            }
            for topic, (partitions, policy) in state.items()
            for partition, pair in sorted(partitions.items())
        ],
        schema=PARTITIONS,
    )
