"""The check of `verify` that bronze holds the log's records."""

import polars as pl

from pipelines.bronze.position import Position
from pipelines.bronze.removed_range import RemovedRange
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.config.log import LogConnection
from pipelines.errors import LogRefusedError
from pipelines.log.scan import scan
from pipelines.operations.check import Check, no_offenders
from pipelines.operations.log_topic import topic_mismatch
from pipelines.operations.record_frames import REF, digests, empty_digests, rows_without

_CHUNK = 200_000  # records read from the log at a time
_DIGEST = [*REF, "digest"]


def log_check(
    topic: str, connection: LogConnection, bronze: pl.DataFrame, position: Position, removed: RemovedRange
) -> Check:
    """Compare the log's records, up to where bronze has read, with bronze's records (columns of `digests`).

    Records that only bronze holds are no fault below the log's first offsets: retention removed them from the log.
    """
    name = f"{topic}: the log's records = bronze's"
    if connection.log is None:
        return Check(name, False, connection.error or "")
    log = with_bronze_partitions(connection.log, topic, position.incarnation)
    try:
        state = log.topic_state(topic)
    except LogRefusedError as error:
        return Check(name, len(bronze) == 0, str(error))
    if mismatch := topic_mismatch(position, state):
        return Check(name, False, mismatch)
    first_offsets = removed.first_held(state.first_offsets)
    read_to = {partition: position.next_offsets.get(partition, first) for partition, first in first_offsets.items()}
    in_log = pl.concat(
        [
            empty_digests(),
            *(
                digests(pl.DataFrame(pl.from_arrow(records.select([*REF, "key", "value"]))))
                for records in scan(log, topic, first_offsets, read_to, _CHUNK)
            ),
        ]
    )
    first = pl.col("partition").replace_strict(first_offsets, default=2**62, return_dtype=pl.Int64)
    in_bronze = bronze.filter(pl.col("offset") >= first).select(_DIGEST)
    differences = pl.concat([rows_without(in_log, in_bronze, _DIGEST), rows_without(in_bronze, in_log, _DIGEST)])
    detail = f"{len(in_log):,} records, key and value byte for byte"
    if len(in_bronze) < len(bronze):
        detail += f"; {len(bronze) - len(in_bronze):,} more in bronze that the log no longer holds, or from files"
    return no_offenders(name, differences.unique(REF), detail)
