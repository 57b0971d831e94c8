"""What became of every record, counted again from the tables, by topic and by day; and whether it adds up.

Bronze, accepted events and quarantine are counted where they lie; duplicates leave no row, so the ledger says how many
there were. The log is asked how many records it holds. Reads only, streams, holds nothing that grows with the history
but the places of quarantined and released records. `verify` goes to the single record; this is for people.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import polars as pl

from pipelines.bronze.position import Position
from pipelines.bronze.removed_range import KEYS, RemovedRange, with_batch
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import bronze_name, checkpoint_table
from pipelines.errors import LogRefusedError, LogUnavailableError
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.log.interface import Log, TopicState
from pipelines.log.open import open_log
from pipelines.operations.record_counts import RecordCounts, Releases, TopicReconciliation
from pipelines.quarantine.records import KEY_COLUMNS, QuarantineFilter, read_rows
from pipelines.quarantine.release_log import ReleaseHistory
from pipelines.silver.ledger import read_ledger

_CHUNK = 200_000  # records read from the log at a time
_REF = ["partition", "offset"]


def count_topics(settings: Settings) -> list[TopicReconciliation]:
    """Every topic that bronze has a table of. Raises NoLakehouseError where there is nothing to count."""
    lake = open_lakehouse(settings)
    try:
        # In this order each holds at least what the ones before it count, also while a run goes on.
        anchors = {topic: lake.find(checkpoint_table(topic)) for topic in TOPICS}
        ledger = pl.DataFrame(pl.from_arrow(read_ledger(lake).drop_columns(["quarantined_by_reason"])))
        book = ReleaseHistory.read(lake)
        log, unreachable = _open(settings)
        try:
            return [
                _topic(lake, anchor, log, unreachable, topic, ledger.filter(pl.col("topic") == topic), book)
                for topic, anchor in anchors.items()
                if lake.find(bronze_name(topic)) is not None
            ]
        finally:
            if log is not None:
                log.close()
    finally:
        lake.close()


def _open(settings: Settings) -> tuple[Log | None, str]:
    log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
    try:
        _ = log.identity
    except LogUnavailableError as error:
        return None, str(error)
    return log, ""


def _topic(
    lake: Lake,
    anchor: LakeTable | None,
    log: Log | None,
    unreachable: str,
    topic: str,
    ledger: pl.DataFrame,
    book: ReleaseHistory,
) -> TopicReconciliation:
    consumed = int(anchor.checkpoint().get("consumed", 0)) if anchor is not None else 0
    ledger = ledger.filter(pl.col("batch_id") <= consumed)
    stopped = read_rows(lake, QuarantineFilter(topic), KEY_COLUMNS).select(*_REF, "reasons")
    bronze = lake.table(bronze_name(topic))
    position = Position.of(bronze)
    log = None if log is None else with_bronze_partitions(log, topic, position.incarnation)
    state, fault = _state(log, unreachable, topic, position)
    counted = TopicReconciliation(topic, None, RecordCounts(), {}, {}, None, [])

    cut = RemovedRange.of(bronze)
    day = pl.coalesce("bronze_at", "silver_at").dt.date().alias("day")
    removed = ledger.filter(pl.col("batch_id") <= cut.through).select(*KEYS, "offset_from", "offset_to", "polled", day)
    first_offsets = cut.first_held(state.first_offsets) if state is not None else {}
    batch_days, held, caught = _count_bronze(counted, bronze, consumed, stopped, first_offsets)
    caught += _count_removed(counted, removed, stopped.filter(cut.is_below))
    batch_days |= dict(removed.select("batch_id", "day").iter_rows())
    copies = _copies(book, topic)
    accepted_copies = _count_accepted(counted, anchor, copies, removed)
    _count_duplicates(counted, ledger, batch_days)
    for tally in counted.days.values():
        counted.tally.add(tally)
    if len(copies):
        again = len(copies.join(stopped, on=_REF, how="semi", maintain_order="left"))
        counted.releases = Releases(len(copies), accepted_copies, again, len(copies) - accepted_copies - again)
    if log is not None and state is not None:
        elsewhere = counted.tally.received - sum(held.values())  # from files, or gone by now
        counted.log = sum(_records_held(log, topic, state, first_offsets, position, held)) + elsewhere
    if fault and counted.tally.received:
        counted.faults.append(fault)
    if off := cut.off(ledger):
        counted.faults.append(f"retention removed {cut}, of partitions {off} the ledger says otherwise")
    counted.faults += _faults(counted, len(stopped) - caught)
    return counted


def _state(log: Log | None, unreachable: str, topic: str, position: Position) -> tuple[TopicState | None, str | None]:
    """The topic as the log has it, by bronze's numbers; or why that says nothing about bronze."""
    if log is None:
        return None, unreachable
    try:
        state = log.topic_state(topic)
    except LogRefusedError as error:
        return None, str(error)
    if position.topic_id not in (None, state.topic_id):
        return None, f"bronze was read from topic {position.topic_id}, the log's is {state.topic_id}"
    return state, None


def _frames(table: LakeTable | None, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    for batch in table.read_streamed(columns) if table is not None else ():
        yield pl.DataFrame(pl.from_arrow(batch))


def _count_bronze(
    counted: TopicReconciliation,
    bronze: LakeTable,
    consumed: int,
    stopped: pl.DataFrame,
    first_offsets: Mapping[int, int],
) -> tuple[dict[int, date], dict[int, int], int]:
    """Counts records by day of ingestion, and those in quarantine.

    Returns the day of each batch; by partition of the log how many rows lie where the log still holds records; how many
    rows of the quarantine are rows of bronze.
    """
    batch_days: dict[int, date] = {}
    held, known = dict.fromkeys(first_offsets, 0), 0
    for raw in _frames(bronze, [*_REF, "ingested_at", "batch_id"]):
        frame = raw.with_columns(day=pl.col("ingested_at").dt.date())
        batch_days.update(frame.select("batch_id", "day").unique().iter_rows())
        by_day = frame.group_by("day").agg(pl.len(), (pl.col("batch_id") > consumed).sum())
        for day, rows, waiting in by_day.iter_rows():
            counted.days.setdefault(day, RecordCounts()).add(RecordCounts(received=rows, waiting=waiting))
        found = frame.join(stopped, on=_REF, how="inner", maintain_order="left")
        known += len(found)
        caught = found.filter(pl.col("batch_id") <= consumed)
        for day, rows in caught.group_by("day").len().iter_rows():
            counted.days[day].quarantined += rows
        for day, reason, rows in caught.explode("reasons").group_by("day", "reasons").len().sort("reasons").iter_rows():
            counted.days[day].add_reasons({reason: rows})
        for partition, first in first_offsets.items():
            here = (pl.col("partition") == partition) & (pl.col("offset") >= first)
            held[partition] += frame.select(here.sum()).item()
    return batch_days, held, known


def _count_removed(counted: TopicReconciliation, removed: pl.DataFrame, stopped: pl.DataFrame) -> int:
    """Records that retention removed from bronze, by the ledger; those in quarantine; how many those are."""
    for day, rows in removed.group_by("day").agg(pl.col("polled").sum()).iter_rows():
        counted.days.setdefault(day, RecordCounts()).add(RecordCounts(received=rows))
    caught = with_batch(stopped, removed).drop_nulls("day")
    for day, rows in caught.group_by("day").len().iter_rows():
        counted.days[day].quarantined += rows
    for day, reason, rows in caught.explode("reasons").group_by("day", "reasons").len().sort("reasons").iter_rows():
        counted.days[day].add_reasons({reason: rows})
    return len(caught)


def _copies(book: ReleaseHistory, topic: str) -> pl.DataFrame:
    mine = book.rows.filter(pl.col("topic") == topic)
    return mine.select(partition="release_partition", offset="release_offset").unique(maintain_order=True)


def _count_accepted(
    counted: TopicReconciliation, anchor: LakeTable | None, copies: pl.DataFrame, removed: pl.DataFrame
) -> int:
    """Accepted events by day of ingestion and day of event_time; how many of them are released copies."""
    released = 0
    for raw in _frames(anchor, ["_partition", "_offset", "_arrival", "event_time", "_ingested_at"]):
        frame = raw.rename({"_partition": "partition", "_offset": "offset"})
        arrived = pl.col("_ingested_at").dt.date()
        if len(removed):
            frame, arrived = with_batch(frame, removed), pl.coalesce("day", arrived)
        for day_of, days in ((arrived, counted.days), (pl.col("event_time").dt.date(), counted.events)):
            by_day = frame.group_by(day_of.alias("on"), "_arrival").len()
            for day, arrival, rows in by_day.iter_rows():
                tally = days.setdefault(day, RecordCounts())
                name = "on_time" if arrival == "on_time" else "late"
                setattr(tally, name, getattr(tally, name) + rows)
        released += len(copies.join(frame.select(_REF), on=_REF, how="semi", maintain_order="left"))
    return released


def _count_duplicates(counted: TopicReconciliation, ledger: pl.DataFrame, batch_days: Mapping[int, date]) -> None:
    """Duplicates leave no row: they are what the ledger says. Batches that bronze does not hold are a fault."""
    names = {"polled": "received", "accepted_on_time": "on_time", "accepted_late": "late", "quarantined": "quarantined"}
    said: dict[date, dict[str, int]] = {}
    for row in ledger.select("batch_id", "duplicates", *names).iter_rows(named=True):
        day = batch_days.get(row["batch_id"])
        if day is None:
            counted.faults.append(f"the ledger has batch {row['batch_id']}, bronze holds no record of it")
            continue
        counted.days[day].duplicates += row["duplicates"]
        sums = said.setdefault(day, dict.fromkeys(names, 0))
        for name in names:
            sums[name] += row[name]
    for day, tally in sorted(counted.days.items()):
        for name, ours in names.items():
            expected = said.get(day, {}).get(name, 0)
            found = tally.received - tally.waiting if ours == "received" else getattr(tally, ours)
            if expected != found:
                words = "judged" if ours == "received" else ours.replace("_", " ")
                counted.faults.append(f"{day}: the ledger says {expected:,} records {words}, the tables hold {found:,}")


def _records_held(
    log: Log,
    topic: str,
    state: TopicState,
    first_offsets: Mapping[int, int],
    position: Position,
    bronze: Mapping[int, int],
) -> Iterator[int]:
    """Records of each partition of the log from these offsets up to where bronze has read; counted only where offsets
    have holes."""
    for partition, first in first_offsets.items():
        end = min(position.next_offsets.get(partition, first), state.end_offsets[partition])
        if end - first == bronze[partition]:
            yield end - first
            continue
        at, found = first, 0
        while at < end:
            polled = log.poll(topic, {partition: at}, _CHUNK, 1.0)
            found += sum(offset < end for offset in polled.records.column("offset").to_pylist())
            if polled.next_offsets[partition] == at:
                break
            at = polled.next_offsets[partition]
        yield found


def _faults(counted: TopicReconciliation, foreign: int) -> Iterator[str]:
    tally = counted.tally
    if counted.log is not None and counted.log != tally.received:
        yield f"the log holds {counted.log:,} records up to where bronze has read, bronze {tally.received:,}"
    if foreign:
        yield f"the quarantine holds {foreign:,} records that bronze does not"
    if not tally.holds:
        yield (
            f"bronze holds {tally.received - tally.waiting:,} judged records, "
            f"accepted + duplicates + quarantined is {tally.accepted + tally.duplicates + tally.quarantined:,}"
        )
