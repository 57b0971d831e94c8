"""`animeverse reconcile`: recounts the records of every topic by verdict and day, and reports contradictions.

Bronze, accepted events and quarantine are counted from their tables. Duplicates leave no row; their number comes from
the ledger. The log reports how many records it holds. Reads only and streams; memory grows only with the number of
quarantined and released records. `verify` compares single records instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date

import polars as pl

from pipelines.bronze.position import Position
from pipelines.bronze.removed_range import KEYS, RemovedRange, with_batch
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.config.log import LogConnection, connect_log
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import bronze_name, checkpoint_table
from pipelines.errors import LogRefusedError
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.log.interface import Log, TopicState
from pipelines.log.scan import scan
from pipelines.operations.log_topic import topic_mismatch
from pipelines.operations.record_counts import RecordCounts, Releases, TopicReconciliation
from pipelines.operations.record_frames import REF
from pipelines.quarantine.records import KEY_COLUMNS, QuarantineFilter, read_rows
from pipelines.quarantine.release_log import ReleaseHistory
from pipelines.silver.ledger import read_ledger

_CHUNK = 200_000  # records read from the log at a time


def count_topics(settings: Settings) -> list[TopicReconciliation]:
    """Count every topic that has a bronze table. Raises NoLakehouseError without a lakehouse."""
    with closing(open_lakehouse(settings)) as lake:
        # Opened in this order, each table holds at least what the ones before it count, even beside a running pipeline.
        silver = {topic: lake.find(checkpoint_table(topic)) for topic in TOPICS}
        ledger = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
        history = ReleaseHistory.read(lake)
        with closing(connect_log(settings)) as connection:
            return [
                _count_topic(lake, table, connection, topic, ledger.filter(pl.col("topic") == topic), history)
                for topic, table in silver.items()
                if lake.find(bronze_name(topic)) is not None
            ]


def _count_topic(
    lake: Lake,
    silver: LakeTable | None,
    connection: LogConnection,
    topic: str,
    ledger: pl.DataFrame,
    history: ReleaseHistory,
) -> TopicReconciliation:
    consumed = int(silver.checkpoint().get("consumed", 0)) if silver is not None else 0
    ledger = ledger.filter(pl.col("batch_id") <= consumed)
    quarantined = read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS).select(*REF, "reasons")
    bronze = lake.table(bronze_name(topic))
    position = Position.of(bronze)
    log = None
    if connection.log is not None:
        log = with_bronze_partitions(connection.log, topic, position.incarnation)
    state, log_fault = _topic_state(log, connection.error, topic, position)
    result = TopicReconciliation(topic, None, RecordCounts(), {}, {}, None, [])

    removed = RemovedRange.of(bronze)
    day = pl.coalesce("bronze_at", "silver_at").dt.date().alias("day")
    removed_entries = ledger.filter(pl.col("batch_id") <= removed.through).select(
        *KEYS, "offset_from", "offset_to", "polled", day
    )
    first_offsets = removed.first_held(state.first_offsets) if state is not None else {}
    batch_days, in_bronze, known_quarantined = _count_bronze(result, bronze, consumed, quarantined, first_offsets)
    known_quarantined += _count_removed(result, removed_entries, quarantined.filter(removed.is_below))
    batch_days |= dict(removed_entries.select("batch_id", "day").iter_rows())
    copies = _released_copies(history, topic)
    accepted_copies = _count_accepted(result, silver, copies, removed_entries)
    _count_duplicates(result, ledger, batch_days)
    for counts in result.days.values():
        result.tally.add(counts)
    if len(copies):
        again = len(copies.join(quarantined, on=REF, how="semi", maintain_order="left"))
        result.releases = Releases(len(copies), accepted_copies, again, len(copies) - accepted_copies - again)
    if log is not None and state is not None:
        only_in_bronze = result.tally.received - sum(in_bronze.values())  # from files, or gone from the log
        result.log = sum(_records_held(log, topic, state, first_offsets, position, in_bronze)) + only_in_bronze
    if log_fault and result.tally.received:
        result.faults.append(log_fault)
    if partitions := removed.off(ledger):
        result.faults.append(f"retention removed {removed}, of partitions {partitions} the ledger says otherwise")
    result.faults += _faults(result, len(quarantined) - known_quarantined)
    return result


def _topic_state(
    log: Log | None, error: str | None, topic: str, position: Position
) -> tuple[TopicState | None, str | None]:
    """Return the topic's state in bronze's partition numbers, or why the log cannot be compared with bronze."""
    if log is None:
        return None, error
    try:
        state = log.topic_state(topic)
    except LogRefusedError as refusal:
        return None, str(refusal)
    mismatch = topic_mismatch(position, state)
    return (None, mismatch) if mismatch else (state, None)


def _frames(table: LakeTable | None, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    for batch in table.read_streamed(columns) if table is not None else ():
        yield pl.DataFrame(pl.from_arrow(batch))


def _count_bronze(
    result: TopicReconciliation,
    bronze: LakeTable,
    consumed: int,
    quarantined: pl.DataFrame,
    first_offsets: Mapping[int, int],
) -> tuple[dict[int, date], dict[int, int], int]:
    """Count bronze records, and the quarantined ones among them, by day of ingestion.

    Returns the day of each batch, the number of bronze rows by partition from `first_offsets` on, and the number of
    quarantine rows that bronze holds.
    """
    batch_days: dict[int, date] = {}
    in_log_range, known_quarantined = dict.fromkeys(first_offsets, 0), 0
    for rows in _frames(bronze, [*REF, "ingested_at", "batch_id"]):
        frame = rows.with_columns(day=pl.col("ingested_at").dt.date())
        batch_days.update(frame.select("batch_id", "day").unique().iter_rows())
        by_day = frame.group_by("day").agg(pl.len(), (pl.col("batch_id") > consumed).sum())
        for day, received, waiting in by_day.iter_rows():
            result.days.setdefault(day, RecordCounts()).add(RecordCounts(received=received, waiting=waiting))
        found = frame.join(quarantined, on=REF, how="inner", maintain_order="left")
        known_quarantined += len(found)
        _add_quarantined(result, found.filter(pl.col("batch_id") <= consumed))
        for partition, first in first_offsets.items():
            is_in_range = (pl.col("partition") == partition) & (pl.col("offset") >= first)
            in_log_range[partition] += frame.select(is_in_range.sum()).item()
    return batch_days, in_log_range, known_quarantined


def _count_removed(result: TopicReconciliation, removed_entries: pl.DataFrame, quarantined: pl.DataFrame) -> int:
    """Count records that retention removed from bronze by the ledger; return how many of them are in quarantine."""
    for day, received in removed_entries.group_by("day").agg(pl.col("polled").sum()).iter_rows():
        result.days.setdefault(day, RecordCounts()).add(RecordCounts(received=received))
    found = with_batch(quarantined, removed_entries).drop_nulls("day")
    _add_quarantined(result, found)
    return len(found)


def _add_quarantined(result: TopicReconciliation, records: pl.DataFrame) -> None:
    """Add quarantined records (`day`, `reasons`) to the counts of their days."""
    for day, rows in records.group_by("day").len().iter_rows():
        result.days[day].quarantined += rows
    by_reason = records.explode("reasons").group_by("day", "reasons").len().sort("reasons")
    for day, reason, rows in by_reason.iter_rows():
        result.days[day].add_reasons({reason: rows})


def _released_copies(history: ReleaseHistory, topic: str) -> pl.DataFrame:
    own = history.rows.filter(pl.col("topic") == topic)
    return own.select(partition="release_partition", offset="release_offset").unique(maintain_order=True)


def _count_accepted(
    result: TopicReconciliation, silver: LakeTable | None, copies: pl.DataFrame, removed_entries: pl.DataFrame
) -> int:
    """Count accepted events by day of ingestion and by day of event_time; return how many are released copies."""
    released = 0
    for rows in _frames(silver, ["_partition", "_offset", "_arrival", "event_time", "_ingested_at"]):
        frame = rows.rename({"_partition": "partition", "_offset": "offset"})
        ingestion_day = pl.col("_ingested_at").dt.date()
        if len(removed_entries):
            frame, ingestion_day = with_batch(frame, removed_entries), pl.coalesce("day", ingestion_day)
        for day_of, days in ((ingestion_day, result.days), (pl.col("event_time").dt.date(), result.events)):
            by_day = frame.group_by(day_of.alias("on"), "_arrival").len()
            for day, arrival, count in by_day.iter_rows():
                counts = days.setdefault(day, RecordCounts())
                name = "on_time" if arrival == "on_time" else "late"
                setattr(counts, name, getattr(counts, name) + count)
        released += len(copies.join(frame.select(REF), on=REF, how="semi", maintain_order="left"))
    return released


def _count_duplicates(result: TopicReconciliation, ledger: pl.DataFrame, batch_days: Mapping[int, date]) -> None:
    """Take the duplicates from the ledger, and report where its other counts differ from those of the tables."""
    names = {"polled": "received", "accepted_on_time": "on_time", "accepted_late": "late", "quarantined": "quarantined"}
    by_day: dict[date, dict[str, int]] = {}
    for row in ledger.select("batch_id", "duplicates", *names).iter_rows(named=True):
        day = batch_days.get(row["batch_id"])
        if day is None:
            result.faults.append(f"the ledger has batch {row['batch_id']}, bronze holds no record of it")
            continue
        result.days[day].duplicates += row["duplicates"]
        sums = by_day.setdefault(day, dict.fromkeys(names, 0))
        for name in names:
            sums[name] += row[name]
    for day, counts in sorted(result.days.items()):
        for name, attribute in names.items():
            expected = by_day.get(day, {}).get(name, 0)
            found = counts.received - counts.waiting if attribute == "received" else getattr(counts, attribute)
            if expected != found:
                words = "judged" if attribute == "received" else attribute.replace("_", " ")
                result.faults.append(f"{day}: the ledger says {expected:,} records {words}, the tables hold {found:,}")


def _records_held(
    log: Log,
    topic: str,
    state: TopicState,
    first_offsets: Mapping[int, int],
    position: Position,
    in_bronze: Mapping[int, int],
) -> Iterator[int]:
    """Yield the number of records of each log partition from its first offset to where bronze has read.

    The records are read only if the offsets have holes, which shows by a number of bronze rows that differs.
    """
    for partition, first in first_offsets.items():
        end = min(position.next_offsets.get(partition, first), state.end_offsets[partition])
        if end - first == in_bronze[partition]:
            yield end - first
        else:
            yield sum(len(records) for records in scan(log, topic, {partition: first}, {partition: end}, _CHUNK))


def _faults(result: TopicReconciliation, unknown_quarantined: int) -> Iterator[str]:
    counts = result.tally
    if result.log is not None and result.log != counts.received:
        yield f"the log holds {result.log:,} records up to where bronze has read, bronze {counts.received:,}"
    if unknown_quarantined:
        yield f"the quarantine holds {unknown_quarantined:,} records that bronze does not"
    if not counts.holds:
        yield (
            f"bronze holds {counts.received - counts.waiting:,} judged records, "
            f"accepted + duplicates + quarantined is {counts.accepted + counts.duplicates + counts.quarantined:,}"
        )
