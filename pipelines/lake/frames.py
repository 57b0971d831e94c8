"""Arrow rows as Polars frames."""

import polars as pl
import pyarrow as pa


def to_frame(rows: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """The rows as a frame.

    `pl.from_arrow` is typed as DataFrame or Series; this function always returns a DataFrame.
    """
    return pl.DataFrame(pl.from_arrow(rows))
