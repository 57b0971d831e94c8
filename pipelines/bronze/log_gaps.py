"""The table `ops.log_gaps`: offsets at which a topic and bronze differ."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.bronze.writer import BronzeWriter
from pipelines.contracts.tables import LOG_GAPS, LOG_GAPS_NAME
from pipelines.lake.catalog import Lake


def note_gaps(lake: Lake, writers: Iterable[BronzeWriter]) -> None:
    """Write gaps that only bronze's checkpoints hold to `ops.log_gaps`. Idempotent."""
    for writer in writers:
        if writer.position.gaps:
            write_gaps(lake, writer.position.gaps)
            writer.forget_gaps()


def write_gaps(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in the form of the checkpoint. Rows that the table already has are skipped."""
    table = lake.ensure(LOG_GAPS_NAME, LOG_GAPS)
    key = ("topic", "partition", "cause", "decided_at")
    held = {tuple(row[name] for name in key) for row in table.read(columns=list(key)).to_pylist()}
    complete = [{**row, "decided_at": datetime.fromisoformat(row["decided_at"])} for row in rows]
    fresh = [row for row in complete if tuple(row[name] for name in key) not in held]
    if fresh:
        table.append(pa.Table.from_pylist(fresh, schema=LOG_GAPS), {})
