"""Rows of a transformed batch on their way into a table: they carry the bronze batch they belong to."""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.tables import ACCEPTED_RELEASES

BATCH = "_batch_id"  # column that is not stored; no evolved column can have this name
NO_RELEASES = ACCEPTED_RELEASES.append(pa.field(BATCH, pa.int64())).empty_table()


def rows_after_batch(rows: pa.Table, batch_id: int) -> pa.Table:
    """The rows of later batches, without the column `BATCH`. A table that is ahead of its checkpoint has the others."""
    batches = rows.column(BATCH)
    kept = rows
    if rows.num_rows and pc.min(batches).as_py() <= batch_id:
        kept = rows.filter(pc.greater(batches, batch_id))
    return kept.drop_columns([BATCH])
