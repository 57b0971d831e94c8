"""Data frames of records that the checks of `verify` compare: partition, offset and a digest of key and value."""

from collections.abc import Sequence

import polars as pl

from pipelines.lake.catalog import LakeTable

REF = ["partition", "offset"]  # identifies a record of a topic


def digests(records: pl.DataFrame) -> pl.DataFrame:
    """Return `partition`, `offset` and `digest`, one hash of key and value, of each record."""
    return records.select(
        pl.col("partition").cast(pl.Int32),
        pl.col("offset").cast(pl.Int64),
        digest=pl.struct(pl.col("key").cast(pl.Binary), pl.col("value").cast(pl.Binary)).hash(seed=7),
    )


def empty_digests() -> pl.DataFrame:
    """Return a frame without rows that has the columns of `digests`."""
    return pl.DataFrame(schema={"partition": pl.Int32, "offset": pl.Int64, "digest": pl.UInt64})


def rows_without(rows: pl.DataFrame, others: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """Return the rows that match no row of `others` in the columns `on`, in their order."""
    return rows.join(others.select(on), on=on, how="anti", maintain_order="left")


def silver_records(table: LakeTable, columns: Sequence[str]) -> pl.DataFrame:
    """Return `partition`, `offset` and the given columns of all rows of a silver table."""
    rows = pl.DataFrame(pl.from_arrow(table.read(columns=["_partition", "_offset", *columns])))
    return rows.rename({"_partition": "partition", "_offset": "offset"}).with_columns(
        pl.col("partition").cast(pl.Int32),
        *(pl.col(name).cast(pl.String) for name in columns if rows[name].dtype == pl.String),
    )
