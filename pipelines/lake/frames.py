"""Arrow rows as Polars frames."""

import polars as pl
import pyarrow as pa


def to_frame(rows: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """The rows as a frame, without a copy where the types allow it. `pl.from_arrow` alone may return a Series to a type
    checker."""
    return pl.DataFrame(pl.from_arrow(rows))
