"""The outcome of a bronze batch, before anything of it is committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.contracts.tables import POS_ITEMS
from pipelines.silver.quarantine_table import BATCH
from pipelines.silver.watermark import PartitionState

_ROW = "_row"  # index of the record in its piece; no evolved column can have this name


@dataclass(slots=True)
class Outcome:
    """What a run of bronze batches of one topic comes to; nothing of it is committed yet."""

    topic: str
    through: int  # last bronze batch
    bronze_snapshot_id: int | None
    partitions: Mapping[int, PartitionState]
    accepted: pa.Table  # silver columns and BATCH
    items: pa.Table | None
    quarantined: pa.Table  # quarantine columns and BATCH
    releases: pa.Table  # columns of ACCEPTED_RELEASES and BATCH
    new_columns: Sequence[str]
    ledger: list[dict[str, Any]] = field(default_factory=list)  # see ledger.py


def _items(lines: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Rows of `silver.pos_items` with `BATCH`: each line with its event's id, time and lineage."""
    names = [*POS_ITEMS.names, BATCH]
    events = accepted.select(name for name in names if name not in lines.columns)  # evolved fields may be named alike
    at = np.searchsorted(accepted[_ROW].to_numpy(), lines["row"].to_numpy())
    return pl.concat([lines.drop("row"), events[pl.Series(at)]], how="horizontal").select(names)
