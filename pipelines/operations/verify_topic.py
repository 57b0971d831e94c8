"""The checks of `verify` for one topic: bronze, the conservation law and line tables."""

from collections.abc import Iterator

import polars as pl

from pipelines.bronze.position import Position
from pipelines.bronze.record_ref import RecordRef
from pipelines.bronze.removed_range import RemovedRange
from pipelines.config.log import LogConnection
from pipelines.contracts.tables import QUARANTINE_NAME, bronze_name, checkpoint_table, silver_tables
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.operations.check import Check, no_offenders
from pipelines.operations.record_frames import REF, digests, empty_digests, rows_without, silver_records
from pipelines.operations.verify_ledger import ledger_checks
from pipelines.operations.verify_log import log_check
from pipelines.parsing.json_text import canonical, event_id_of


def topic_checks(lake: Lake, connection: LogConnection, topic: str) -> Iterator[Check]:
    """Run the checks of a topic that has a bronze table."""
    bronze_table = lake.table(bronze_name(topic))
    bronze = _bronze_records(bronze_table)
    position, removed = Position.of(bronze_table), RemovedRange.of(bronze_table)
    yield no_offenders(f"{topic}: bronze holds each offset once", _repeated(bronze))
    read_to = pl.col("partition").replace_strict(dict(position.next_offsets), default=0, return_dtype=pl.Int64)
    yield no_offenders(f"{topic}: bronze ends where its snapshot says", bronze.filter(pl.col("offset") >= read_to))
    if removed.through:
        below = bronze.filter(removed.is_below | (pl.col("batch_id") <= removed.through))
        yield no_offenders(f"{topic}: bronze begins where retention cut it", below, f"{removed} are gone")
    yield log_check(topic, connection, bronze, position, removed)
    silver = lake.find(checkpoint_table(topic))
    if silver is None:
        return
    accepted = silver_records(silver, ["event_id", "_arrival"])
    quarantined = _quarantined_records(lake, topic)
    consumed = bronze.filter(pl.col("batch_id") <= int(silver.checkpoint().get("consumed", 0)))
    yield from _conservation_checks(topic, consumed, accepted, quarantined, bronze_table, removed)
    for name in silver_tables(topic)[:-1]:
        yield _lines_check(topic, lake.table(name), accepted)
    yield from ledger_checks(lake, topic, consumed, accepted, quarantined, removed)
    waiting = len(bronze) - len(consumed)
    yield Check(f"{topic}: silver is up to date", waiting == 0, f"{waiting} bronze records wait for `animeverse run`")


def _bronze_records(bronze_table: LakeTable) -> pl.DataFrame:
    """Return the digests and batch ids of all bronze records, by partition and offset."""
    parts = [empty_digests().with_columns(batch_id=pl.lit(None, pl.Int64))]
    for batch in bronze_table.read_streamed([*REF, "key", "value", "batch_id"]):
        frame = pl.DataFrame(pl.from_arrow(batch))
        if len(frame):
            parts.append(digests(frame).with_columns(frame["batch_id"]))
    return pl.concat(parts).sort(REF)


def _quarantined_records(lake: Lake, topic: str) -> pl.DataFrame:
    table = lake.find(QUARANTINE_NAME)
    if table is None:
        return empty_digests()
    rows = pl.DataFrame(pl.from_arrow(table.read(columns=["topic", *REF, "key", "value"])))
    own = rows.filter(pl.col("topic").cast(pl.String) == topic)
    return digests(own) if len(own) else empty_digests()


def _repeated(records: pl.DataFrame) -> pl.DataFrame:
    return records.filter(records.select(REF).is_duplicated())


def _conservation_checks(
    topic: str,
    consumed: pl.DataFrame,
    accepted: pl.DataFrame,
    quarantined: pl.DataFrame,
    bronze_table: LakeTable,
    removed: RemovedRange,
) -> Iterator[Check]:
    """Every consumed bronze record is exactly one of accepted, quarantined and duplicate of an accepted event."""
    yield no_offenders(f"{topic}: silver holds each record once", _repeated(accepted))
    yield no_offenders(f"{topic}: quarantine holds each record once", _repeated(quarantined))
    both = accepted.select(REF).join(quarantined.select(REF), on=REF, how="semi", maintain_order="left")
    yield no_offenders(f"{topic}: no record is both accepted and quarantined", both)
    # The checks of the ledger cover what retention removed from bronze.
    all_accepted, removed_accepted = accepted, accepted.filter(removed.is_below)
    accepted, quarantined = accepted.filter(~removed.is_below), quarantined.filter(~removed.is_below)
    unknown = rows_without(pl.concat([accepted.select(REF), quarantined.select(REF)]), consumed, REF)
    yield no_offenders(f"{topic}: silver and quarantine hold nothing that bronze does not", unknown)
    changed = rows_without(quarantined, consumed, [*REF, "digest"])
    yield no_offenders(f"{topic}: quarantined records are whole", changed)
    duplicates = rows_without(rows_without(consumed, accepted, REF), quarantined, REF)
    lost = _without_original(duplicates, accepted, removed_accepted, bronze_table)
    detail = (
        f"{len(consumed):,} bronze = {len(accepted):,} accepted + {len(duplicates):,} duplicates"
        f" + {len(quarantined):,} quarantined"
    )
    yield no_offenders(f"{topic}: the conservation law", lost, detail)
    repeated_ids = all_accepted.group_by("event_id").len().filter(pl.col("len") > 1)
    detail = f"{all_accepted['event_id'].n_unique():,} ids"
    if len(repeated_ids):
        detail += f"; {len(repeated_ids)} came again beyond the lateness horizon"
    yield Check(f"{topic}: one row an event_id", True, detail)


def _without_original(
    duplicates: pl.DataFrame, accepted: pl.DataFrame, removed_accepted: pl.DataFrame, bronze_table: LakeTable
) -> pl.DataFrame:
    """Return the duplicates that equal no accepted event: each of them is a lost record.

    For accepted events whose records retention removed from bronze, only the id is compared.
    """
    if not len(duplicates):
        return duplicates.select(REF)
    values = _values(duplicates, bronze_table)
    ids = {ref: event_id_of(value) for ref, value in values.items()}
    candidates = accepted.filter(pl.col("event_id").is_in([i for i in ids.values() if i is not None]))
    originals: dict[str, set[object]] = {}
    for value in _values(candidates, bronze_table).values():
        event_id = event_id_of(value)
        if event_id is not None:
            originals.setdefault(event_id, set()).add(canonical(value))
    known_ids = set(removed_accepted["event_id"]) & set(ids.values())
    lost = [
        ref
        for ref, value in values.items()
        if (event_id := ids[ref]) is None
        or (event_id not in known_ids and canonical(value) not in originals.get(event_id, set()))
    ]
    return pl.DataFrame(lost, schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row")


def _values(records: pl.DataFrame, bronze_table: LakeTable) -> dict[RecordRef, bytes]:
    """Return the values of records, in one pass over bronze."""
    values: dict[RecordRef, bytes] = {}
    wanted = records.select(REF)
    for batch in bronze_table.read_streamed([*REF, "value"]):
        frame = pl.DataFrame(pl.from_arrow(batch))
        for partition, offset, value in frame.join(wanted, on=REF, how="semi", maintain_order="left").iter_rows():
            values[partition, offset] = value
    return values


def _lines_check(topic: str, table: LakeTable, accepted: pl.DataFrame) -> Check:
    """Every accepted event has lines, every line an accepted event, and no line number occurs twice in an event."""
    lines = silver_records(table, ["line_number"])
    repeated = lines.filter(lines.select(*REF, "line_number").is_duplicated()).select(REF)
    without_event = rows_without(lines, accepted, REF).select(REF)
    without_lines = rows_without(accepted, lines, REF).select(REF)
    return no_offenders(
        f"{topic}: every transaction has its lines, each once",
        pl.concat([repeated, without_event, without_lines]).unique(),
        f"{len(lines):,} lines",
    )
