"""`ops.watermarks`: event time of each topic partition, and watermarks of the topics."""

from datetime import datetime

import pyarrow as pa

from pipelines.clock import from_micros, micros
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import TIMESTAMP
from pipelines.lake.catalog import Lake
from pipelines.silver.state import read_state
from pipelines.silver.watermark import partition_watermarks, topic_watermark

WATERMARKS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("high", TIMESTAMP),
        pa.field("last_record_at", TIMESTAMP),
        pa.field("is_idle", pa.bool_(), nullable=False),
        pa.field("watermark", TIMESTAMP),
    ]
)


def watermark_rows(lake: Lake) -> pa.Table:
    """Rows of `ops.watermarks`: the state of each topic partition, and the watermark of its topic (R16)."""
    rows = []
    for topic in TOPICS:
        stored = read_state(lake, topic)
        if stored is None:
            continue
        partitions, policy = stored
        durations = {"out_of_orderness": micros(policy.out_of_orderness), "idle_timeout": micros(policy.idle_timeout)}
        watermark = topic_watermark(partitions, **durations)
        rows += [
            {
                "topic": topic,
                "partition": one.partition,
                "high": optional_time(one.high),
                "last_record_at": optional_time(one.last_record_at),
                "is_idle": one.is_idle,
                "watermark": optional_time(watermark),
            }
            for one in partition_watermarks(partitions, **durations)
        ]
    return pa.Table.from_pylist(rows, schema=WATERMARKS)


def optional_time(microseconds: int | None) -> datetime | None:
    """The time that is so many microseconds after the epoch; None for None."""
    return None if microseconds is None else from_micros(microseconds)
