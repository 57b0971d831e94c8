"""The checks of `verify` for one topic."""

from collections.abc import Iterator

import polars as pl

from pipelines.bronze.position import Position
from pipelines.bronze.record_ref import _REF
from pipelines.bronze.removed_range import KEYS, RemovedRange, recount, with_batch
from pipelines.bronze.topic_identity import with_bronze_partitions
from pipelines.contracts.tables import QUARANTINE_NAME, bronze_name, checkpoint_table
from pipelines.errors import LogRefusedError
from pipelines.lake.catalog import Lake, LakeTable
from pipelines.log.interface import Log
from pipelines.operations.check import _SHOWN, Check, _offenders
from pipelines.parsing.json_text import canonical, event_id_of
from pipelines.silver.ledger import entries_of

_CHUNK = 200_000  # records read from the log at a time


def _digests(rows: pl.DataFrame) -> pl.DataFrame:
    """RecordRef, and one digest of key and value."""
    return rows.select(
        pl.col("partition").cast(pl.Int32),
        pl.col("offset").cast(pl.Int64),
        digest=pl.struct(pl.col("key").cast(pl.Binary), pl.col("value").cast(pl.Binary)).hash(seed=7),
    )


def _topic(lake: Lake, log: Log | None, unreachable: str, topic: str) -> Iterator[Check]:
    bronze_table = lake.table(bronze_name(topic))
    columns = [*_REF, "key", "value", "batch_id"]
    parts = [
        _digests(frame).with_columns(frame["batch_id"])
        for batch in bronze_table.read_streamed(columns)
        if len(frame := pl.DataFrame(pl.from_arrow(batch)))
    ]
    empty = pl.DataFrame(schema={"partition": pl.Int32, "offset": pl.Int64, "digest": pl.UInt64, "batch_id": pl.Int64})
    bronze = pl.concat([empty, *parts]).sort(_REF)
    position, cut = Position.of(bronze_table), RemovedRange.of(bronze_table)
    yield _offenders(f"{topic}: bronze holds each offset once", bronze.filter(bronze.select(_REF).is_duplicated()))
    beyond = bronze.filter(
        pl.col("offset")
        >= pl.col("partition").replace_strict(dict(position.next_offsets), default=0, return_dtype=pl.Int64)
    )
    yield _offenders(f"{topic}: bronze ends where its snapshot says", beyond)
    if cut.through:
        below = bronze.filter(cut.is_below | (pl.col("batch_id") <= cut.through))
        yield _offenders(f"{topic}: bronze begins where retention cut it", below, f"{cut} are gone")
    yield _log_equals_bronze(topic, log, unreachable, bronze, position, cut)
    silver = lake.find(checkpoint_table(topic))
    if silver is None:
        return
    accepted = _places(silver, "_partition", "_offset", ["event_id", "_arrival"])
    stopped = _quarantined(lake, topic)
    consumed = int(silver.checkpoint().get("consumed", 0))
    judged = bronze.filter(pl.col("batch_id") <= consumed)
    yield from _law(topic, judged, accepted, stopped, bronze_table)
    if topic == "pos-transactions":
        yield _items(lake, accepted)
    yield from _ledger(lake, topic, judged, accepted, stopped, cut)
    behind = len(bronze) - len(judged)
    yield Check(f"{topic}: silver is up to date", behind == 0, f"{behind} bronze records wait for `animeverse run`")


def _log_equals_bronze(
    topic: str, log: Log | None, unreachable: str, bronze: pl.DataFrame, position: Position, cut: RemovedRange
) -> Check:
    name = f"{topic}: the log's records = bronze's"
    if log is None:
        return Check(name, False, unreachable)
    log = with_bronze_partitions(log, topic, position.incarnation)
    try:
        state = log.topic_state(topic)
    except LogRefusedError as error:
        return Check(name, len(bronze) == 0, str(error))
    if position.topic_id not in (None, state.topic_id):
        return Check(name, False, f"bronze was read from topic {position.topic_id}, the log's is {state.topic_id}")
    first_offsets = cut.first_held(state.first_offsets)
    at = dict(first_offsets)
    until = {partition: position.next_offsets.get(partition, at[partition]) for partition in at}
    parts = []
    while any(at[partition] < until[partition] for partition in at):
        polled = log.poll(topic, {p: offset for p, offset in at.items() if offset < until[p]}, _CHUNK, 1.0)
        if not polled.records.num_rows and all(polled.next_offsets[p] == at[p] for p in polled.next_offsets):
            break
        parts.append(_digests(pl.DataFrame(pl.from_arrow(polled.records.select([*_REF, "key", "value"])))))
        at |= polled.next_offsets
    limit = pl.col("partition").replace_strict(until, default=0, return_dtype=pl.Int64)
    held = pl.concat(parts).filter(pl.col("offset") < limit) if parts else bronze.select(*_REF, "digest").clear()
    first = pl.col("partition").replace_strict(first_offsets, default=2**62, return_dtype=pl.Int64)
    mine = bronze.filter(pl.col("offset") >= first).select(*_REF, "digest")
    differ = pl.concat([_minus(held, mine), _minus(mine, held)]).unique(_REF)
    detail = f"{len(held):,} records, key and value byte for byte"
    if len(mine) < len(bronze):
        detail += f"; {len(bronze) - len(mine):,} more in bronze that the log no longer holds, or from files"
    return _offenders(name, differ, detail)


def _minus(one: pl.DataFrame, two: pl.DataFrame) -> pl.DataFrame:
    return one.join(two, on=[*_REF, "digest"], how="anti", maintain_order="left")


def _places(table: LakeTable, partition: str, offset: str, more: list[str]) -> pl.DataFrame:
    found = pl.DataFrame(pl.from_arrow(table.read(columns=[partition, offset, *more])))
    return found.rename({partition: "partition", offset: "offset"}).with_columns(
        pl.col("partition").cast(pl.Int32), *(pl.col(c).cast(pl.String) for c in more if found[c].dtype == pl.String)
    )


def _quarantined(lake: Lake, topic: str) -> pl.DataFrame:
    table = lake.find(QUARANTINE_NAME)
    empty = pl.DataFrame(schema={"partition": pl.Int32, "offset": pl.Int64, "digest": pl.UInt64})
    if table is None:
        return empty
    rows = pl.DataFrame(pl.from_arrow(table.read(columns=["topic", *_REF, "key", "value"])))
    mine = rows.filter(pl.col("topic").cast(pl.String) == topic)
    return _digests(mine) if len(mine) else empty


def _law(
    topic: str,
    judged: pl.DataFrame,
    accepted: pl.DataFrame,
    stopped: pl.DataFrame,
    bronze_table: LakeTable,
) -> Iterator[Check]:
    yield _offenders(f"{topic}: silver holds each record once", accepted.filter(accepted.select(_REF).is_duplicated()))
    yield _offenders(
        f"{topic}: quarantine holds each record once", stopped.filter(stopped.select(_REF).is_duplicated())
    )
    both = accepted.select(_REF).join(stopped.select(_REF), on=_REF, how="semi", maintain_order="left")
    yield _offenders(f"{topic}: no record is both accepted and quarantined", both)
    # What retention removed is held against the ledger, further down.
    cut = RemovedRange.of(bronze_table)
    gone, accepted, stopped = (
        accepted.filter(cut.is_below),
        accepted.filter(~cut.is_below),
        stopped.filter(~cut.is_below),
    )
    foreign = pl.concat([accepted.select(_REF), stopped.select(_REF)]).join(
        judged, on=_REF, how="anti", maintain_order="left"
    )
    yield _offenders(f"{topic}: silver and quarantine hold nothing that bronze does not", foreign)
    yield _offenders(f"{topic}: quarantined records are whole", _minus(stopped, judged.select(*_REF, "digest")))
    rest = judged.join(accepted.select(_REF), on=_REF, how="anti", maintain_order="left").join(
        stopped.select(_REF), on=_REF, how="anti", maintain_order="left"
    )
    lost = _without_owner(rest, accepted, bronze_table, gone)
    detail = (
        f"{len(judged):,} bronze = {len(accepted):,} accepted + {len(rest):,} duplicates + {len(stopped):,} quarantined"
    )
    yield _offenders(f"{topic}: the conservation law", lost, detail)
    everything = pl.concat([gone, accepted])
    owners = everything.group_by("event_id").len().filter(pl.col("len") > 1)
    yield Check(
        f"{topic}: one row an event_id",
        True,
        f"{everything['event_id'].n_unique():,} ids"
        + (f"; {len(owners)} came again beyond the lateness horizon" if len(owners) else ""),
    )


def _without_owner(
    rest: pl.DataFrame, accepted: pl.DataFrame, bronze_table: LakeTable, gone: pl.DataFrame
) -> pl.DataFrame:
    """Records counted as duplicates that equal no accepted event: each of them is a loss.

    Accepted events whose records are gone from bronze are known by their id alone.
    """
    if not len(rest):
        return rest.select(_REF)
    values = _values(rest, bronze_table)
    ids = {place: event_id_of(value) for place, value in values.items()}
    candidates = accepted.filter(pl.col("event_id").is_in([i for i in ids.values() if i is not None]))
    owner_values = _values(candidates, bronze_table)
    owners: dict[str, set[object]] = {}
    for value in owner_values.values():
        event_id = event_id_of(value)
        if event_id is not None:
            owners.setdefault(event_id, set()).add(canonical(value))
    known = set(gone["event_id"]) & set(ids.values())
    lost = [
        place
        for place, value in values.items()
        if (event_id := ids[place]) is None
        or (event_id not in known and canonical(value) not in owners.get(event_id, set()))
    ]
    return pl.DataFrame(lost, schema={"partition": pl.Int32, "offset": pl.Int64}, orient="row")


def _values(places: pl.DataFrame, bronze_table: LakeTable) -> dict[tuple[int, int], bytes]:
    """Records' bytes; one pass over bronze, since the places may lie anywhere."""
    found: dict[tuple[int, int], bytes] = {}
    wanted = places.select(_REF)
    for batch in bronze_table.read_streamed([*_REF, "value"]):
        frame = pl.DataFrame(pl.from_arrow(batch))
        for partition, offset, value in frame.join(wanted, on=_REF, how="semi", maintain_order="left").iter_rows():
            found[partition, offset] = value
    return found


def _items(lake: Lake, accepted: pl.DataFrame) -> Check:
    items = _places(lake.table("silver.pos_items"), "_partition", "_offset", ["line_number"])
    twice = items.filter(items.select(*_REF, "line_number").is_duplicated()).select(_REF)
    orphans = items.join(accepted, on=_REF, how="anti", maintain_order="left").select(_REF)
    bare = accepted.join(items, on=_REF, how="anti", maintain_order="left").select(_REF)
    return _offenders(
        "pos-transactions: every transaction has its lines, each once",
        pl.concat([twice, orphans, bare]).unique(),
        f"{len(items):,} lines",
    )


def _ledger(
    lake: Lake, topic: str, judged: pl.DataFrame, accepted: pl.DataFrame, stopped: pl.DataFrame, cut: RemovedRange
) -> Iterator[Check]:
    """`ops.batches` says the same as the recount, batch by batch. Entries not written yet are no fault."""
    name = f"{topic}: the ledger equals the recount"
    table = lake.find("ops.batches")
    if table is None:
        yield Check(name, len(judged) == 0, "there is no ops.batches")
        return
    counts = ["polled", "accepted_on_time", "accepted_late", "duplicates", "quarantined"]
    read = pl.DataFrame(pl.from_arrow(table.read(columns=["topic", *KEYS, *counts])))
    if cut.through:
        yield from _removed(lake, topic, accepted, stopped, cut)
    mine = (pl.col("topic").cast(pl.String) == topic) & (pl.col("batch_id") > cut.through)
    written = read.filter(mine).select(*KEYS, *counts)
    counted = (
        judged.join(accepted.unique(_REF), on=_REF, how="left", maintain_order="left")
        .join(stopped.unique(_REF).select(*_REF, q=pl.lit(True)), on=_REF, how="left", maintain_order="left")
        .group_by(KEYS)
        .agg(
            pl.len().cast(pl.Int64).alias("polled"),
            (pl.col("_arrival") == "on_time").sum().cast(pl.Int64).alias("accepted_on_time"),
            (pl.col("_arrival") == "late").sum().cast(pl.Int64).alias("accepted_late"),
            (pl.col("_arrival").is_null() & pl.col("q").is_null()).sum().cast(pl.Int64).alias("duplicates"),
            pl.col("q").is_not_null().sum().cast(pl.Int64).alias("quarantined"),
        )
    )
    last = written["batch_id"].max()
    due = counted.filter(pl.col("batch_id") <= (last if isinstance(last, int) else 0))
    off = pl.concat([_rows_minus(written, due), _rows_minus(due, written)]).unique(KEYS).sort(KEYS)
    shown = "; ".join(
        f"batch {batch} partition {partition}" for batch, partition in off.select(KEYS).head(_SHOWN).iter_rows()
    )
    waiting = len(counted) - len(due)
    detail = f"{len(written):,} entries" + (f", {waiting} waiting for the next run" if waiting else "")
    yield Check(name, not len(off), detail if not len(off) else f"{len(off)} entries differ: {shown}")


def _removed(
    lake: Lake, topic: str, accepted: pl.DataFrame, stopped: pl.DataFrame, cut: RemovedRange
) -> Iterator[Check]:
    """What retention removed from bronze is what the ledger says of it, and silver and quarantine hold that."""
    off = cut.off(ledger := entries_of(lake, topic))
    detail = f"{cut}" if not off else f"the ledger says otherwise of partition {', '.join(map(str, off[:_SHOWN]))}"
    yield Check(f"{topic}: the ledger has all that retention removed", not off, detail)
    entries = ledger.filter(pl.col("batch_id") <= cut.through)
    counted = recount(entries, accepted, stopped)
    differ = _rows_minus(counted, entries).select(KEYS).sort(KEYS)
    places = pl.concat([accepted.select(_REF), stopped.select(_REF)]).filter(cut.is_below)
    foreign = with_batch(places, entries).filter(pl.col("batch_id").is_null())
    shown = [f"batch {batch} partition {partition}" for batch, partition in differ.head(_SHOWN).iter_rows()]
    shown += [f"offset {p}/{o} is of no batch" for p, o in foreign.select(_REF).head(_SHOWN).iter_rows()]
    name = f"{topic}: silver and quarantine hold what the ledger says of it"
    yield Check(name, not shown, "; ".join(shown) or f"{len(entries):,} entries")


def _rows_minus(one: pl.DataFrame, two: pl.DataFrame) -> pl.DataFrame:
    return one.join(two.select(one.columns), on=one.columns, how="anti", maintain_order="left")
