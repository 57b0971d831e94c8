"""`ops.log_gaps`: offsets that the log no longer holds and bronze never read."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.bronze.writer import BronzeWriter
from pipelines.contracts.tables import LOG_GAPS, LOG_GAPS_NAME
from pipelines.lake.catalog import Lake


def note_gaps(lake: Lake, writers: Iterable[BronzeWriter]) -> None:
    """Write to `ops.log_gaps` what only bronze's snapshots say so far; repeating it adds nothing."""
    for writer in writers:
        if writer.position.gaps:
            _write(lake, writer.position.gaps)
            writer.forget_gaps()


def _write(lake: Lake, rows: Sequence[Any]) -> None:
    table = lake.ensure(LOG_GAPS_NAME, LOG_GAPS)
    key = ("topic", "partition", "cause", "decided_at")
    held = {tuple(row[name] for name in key) for row in table.read(columns=list(key)).to_pylist()}
    found = [{**row, "decided_at": datetime.fromisoformat(row["decided_at"])} for row in rows]
    fresh = [row for row in found if tuple(row[name] for name in key) not in held]
    if fresh:
        table.append(pa.Table.from_pylist(fresh, schema=LOG_GAPS), {})
