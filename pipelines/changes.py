"""What gold is fed with: the silver rows since its last refresh, and the state that the watermarks follow from."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipelines.schemas import TIMESTAMP

PARTITIONS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("high", TIMESTAMP),
        pa.field("last_record_at", TIMESTAMP),
        pa.field("out_of_orderness", pa.int64(), nullable=False),  # this and the next two: microseconds
        pa.field("allowed_lateness", pa.int64(), nullable=False),
        pa.field("idle_timeout", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class SilverChanges:
    """Silver since the snapshots that gold last reflected.

    `tables` maps a silver table's short name (`pos_items`) to its new rows (a missing table has none), `snapshots` its
    full name (`silver.pos_items`) to the snapshot that a refresh with them reflects.
    """

    tables: Mapping[str, pa.Table]
    snapshots: Mapping[str, int]
    partitions: pa.Table  # schema PARTITIONS, all topics
