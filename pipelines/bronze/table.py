"""The bronze table of a topic: its batches, their rows and commits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from pipelines.contracts.tables import BRONZE, bronze_name
from pipelines.lake.catalog import Lake
from pipelines.lake.table import LakeTable

# Only the columns that readers filter by have bounds. Bounds of values and keys would cost space and help no reader.
_PROPERTIES: Mapping[str, str] = {
    "write.metadata.metrics.default": "none",
    **{
        f"write.metadata.metrics.column.{column}": "full"
        for column in ("partition", "offset", "timestamp", "ingested_at", "batch_id")
    },
}


def ensure_bronze(lake: Lake, topic: str) -> LakeTable:
    """The topic's bronze table. Creates it if it does not exist."""
    return lake.ensure(bronze_name(topic), BRONZE, day_of="ingested_at", properties=_PROPERTIES)


@dataclass(frozen=True, slots=True)
class BronzeBatch:
    """One committed batch of one topic, rows in (partition, offset) order, schema BRONZE."""

    topic: str
    batch_id: int
    rows: pa.Table
    snapshot_id: int
    started_at: datetime
    committed_at: datetime

    @property
    def first_batch_id(self) -> int:
        """The first batch of these rows; differs from `batch_id` if several batches were read together."""
        return int(self.rows.column("batch_id")[0].as_py())


def bronze_rows(records: pa.Table, ingested_at: datetime, batch_id: int) -> pa.Table:
    """Log records (schema RECORDS) as bronze rows."""
    count = records.num_rows
    columns = [records.column(field.name) for field in BRONZE if field.name in records.schema.names]
    columns.append(pa.repeat(pa.scalar(ingested_at, BRONZE.field("ingested_at").type), count))
    columns.append(pa.repeat(pa.scalar(batch_id, pa.int64()), count))
    return pa.Table.from_arrays(columns, schema=BRONZE)


@dataclass(frozen=True, slots=True)
class BatchCommit:
    """The commit of a batch."""

    snapshot_id: int
    started_at: datetime | None
    committed_at: datetime


def batch_commits(table: LakeTable) -> dict[int, BatchCommit]:
    """The commit of each batch whose snapshot is retained, by batch id."""
    commits: dict[int, BatchCommit] = {}
    for snapshot_id, committed_at, checkpoint in table.checkpoints():
        if "batch-id" in checkpoint:
            started = checkpoint.get("started-at")
            commits.setdefault(
                int(checkpoint["batch-id"]),
                BatchCommit(snapshot_id, datetime.fromisoformat(started) if started else None, committed_at),
            )
    return commits
