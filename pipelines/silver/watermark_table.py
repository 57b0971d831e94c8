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
        mark = topic_watermark(partitions, **durations)
        rows += [
            {
                "topic": topic,
                "partition": share.partition,
                "high": _moment(share.high),
                "last_record_at": _moment(share.last_record_at),
                "is_idle": share.is_idle,
                "watermark": _moment(mark),
            }
            for share in partition_watermarks(partitions, **durations)
        ]
    return pa.Table.from_pylist(rows, schema=WATERMARKS)


def _moment(micros_: int | None) -> datetime | None:
    return None if micros_ is None else from_micros(micros_)
