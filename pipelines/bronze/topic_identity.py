"""Whether a topic is still the one that bronze was read from, and what is missing where it is not.

Compared are the ids of log and topic, and each partition's position and first offset held with what the log holds now.
All partition numbers are bronze's (see incarnations.py). Nothing is changed here: `resume.py` does that, when asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.incarnations import STRIDE, Incarnation, RenumberedLog, in_log
from pipelines.log.interface import Log, TopicState
from pipelines.log.scan import scan

if TYPE_CHECKING:
    from pipelines.bronze.position import Position
    from pipelines.lake.catalog import LakeTable

Cause = Literal["retention", "topic_made_anew", "other_log", "log_restored"]
_CHUNK = 100_000  # records compared at a time


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets of one partition at which the log and bronze part. `offset_to` is inclusive.

    None means that nobody can know: what a deleted topic held behind what bronze had read of it.
    """

    partition: int
    cause: Cause
    offset_from: int
    offset_to: int | None
    records_lost: int | None  # offsets that were never read and are gone; holes in them count


@dataclass(frozen=True, slots=True)
class TopicComparison:
    """A topic as it is now, in bronze's numbers, and what stands between it and bronze; no gaps: reading can go on."""

    state: TopicState
    gaps: tuple[Gap, ...]


def compare_with_log(table: "LakeTable", log: Log, topic: str, position: "Position") -> TopicComparison:
    """Compare. The log's records are read only where it has offsets again that were gone: an older copy, perhaps."""
    state = with_bronze_partitions(log, topic, position.incarnation).topic_state(topic)
    found = _gaps(position, log.identity, state)
    if not is_other(found) and _went_back(position, state):
        found = restored(position, shared_until(table, log, topic, position)) + found
    return TopicComparison(state, tuple(found))


def _gaps(position: "Position", log_id: str, state: TopicState) -> list[Gap]:
    if position.log_id is None:
        return []
    current = position.incarnation
    read = {p: offset for p, offset in position.next_offsets.items() if current.owns(p)}
    if (position.log_id, position.topic_id) != (log_id, state.topic_id):
        cause: Cause = "other_log" if position.log_id != log_id else "topic_made_anew"
        old = [Gap(partition, cause, offset, None, None) for partition, offset in sorted(read.items())]
        return old or [Gap(current.in_bronze(0), cause, 0, None, None)]
    found = []
    for partition, offset in sorted(read.items()):
        if partition not in state.end_offsets:
            found.append(Gap(partition, "topic_made_anew", offset, None, None))
        elif offset > state.end_offsets[partition]:
            found.append(Gap(partition, "log_restored", state.end_offsets[partition], offset - 1, 0))
        elif offset < state.first_offsets[partition]:
            found.append(_taken(partition, offset, state.first_offsets[partition]))
    # A partition that came after bronze's last commit, and has lost records already.
    new = {p: first for p, first in state.first_offsets.items() if read and p not in read and first > 0}
    return found + [_taken(partition, 0, first) for partition, first in sorted(new.items())]


def _taken(partition: int, position: int, first: int) -> Gap:
    return Gap(partition, "retention", position, first - 1, first - position)


def restored(position: "Position", shared: Mapping[int, int]) -> list[Gap]:
    """A gap for each partition in which bronze holds more than it shares with the log (see `shared_until`)."""
    places = ((position.incarnation.in_bronze(partition), offset) for partition, offset in sorted(shared.items()))
    return [
        Gap(partition, "log_restored", offset, position.next_offsets[partition] - 1, 0)
        for partition, offset in places
        if offset < position.next_offsets.get(partition, 0)
    ]


def _went_back(position: "Position", state: TopicState) -> bool:
    """Whether the log begins before where it began when it was last read: then it is an older copy, or seems so."""
    return any(state.first_offsets.get(partition, first) < first for partition, first in position.first_offsets.items())


def is_other(found: Sequence[Gap]) -> bool:
    """Whether what is read from now on needs partition numbers of its own."""
    return any(gap.cause != "retention" for gap in found)


def shared_until(table: "LakeTable", log: Log, topic: str, position: "Position") -> dict[int, int]:
    """By partition of the log, the offset behind the last record that bronze holds of this very topic, too.

    What the log has from there on was never read; where it has nothing new there, the offset is the position itself.
    `log` is the log itself; it is read from its beginning.
    """
    state = log.topic_state(topic)
    same = [own for own in position.all_incarnations if (own.log_id, own.topic_id) == (log.identity, state.topic_id)]
    known = _known(table, same)
    read: dict[int, int] = {}
    for own in same:
        for partition, offset in position.next_offsets.items():
            if own.owns(partition):
                read[in_log(partition)] = max(read.get(in_log(partition), 0), offset)
    at = dict(state.first_offsets)
    until = {p: max(at[p], min(read.get(p, 0), end)) for p, end in state.end_offsets.items()}
    last_same, last_other = {p: offset - 1 for p, offset in at.items()}, dict.fromkeys(at, -1)
    comparisons: tuple[tuple[dict[int, int], Literal["semi", "anti"]], ...]
    comparisons = ((last_same, "semi"), (last_other, "anti"))
    for records in scan(log, topic, at, until, _CHUNK):
        held, keys = _digests(records), ["partition", "offset", "digest"]
        for last, how in comparisons:
            found = held.join(known, on=keys, how=how, maintain_order="left").group_by("partition")
            for partition, offset in found.agg(pl.col("offset").max()).iter_rows():
                last[partition] = max(last[partition], offset)
    return {p: last_same[p] + 1 if last_same[p] < last_other[p] else until[p] for p in until}


def _known(table: "LakeTable", same: Sequence[Incarnation]) -> pl.DataFrame:
    """What bronze holds of these incarnations, by places of the log; the newest where several had the same place."""
    parts = [_digests(RECORDS_LIKE.empty_table()).with_columns(number=pl.lit(0))]
    numbers = pl.Series([own.number for own in same], dtype=pl.Int64)
    for batch in table.read_streamed(["partition", "offset", "timestamp", "key", "value"]):
        frame = _digests(pa.Table.from_batches([batch])).filter(pl.col("partition") >= 0)
        frame = frame.with_columns(number=pl.col("partition").cast(pl.Int64) // STRIDE)
        parts.append(
            frame.filter(pl.col("number").is_in(numbers.implode())).with_columns(pl.col("number").cast(pl.Int32))
        )
    found = pl.concat(parts).with_columns(pl.col("partition") % STRIDE).sort("number")
    return found.unique(["partition", "offset"], keep="last").drop("number")


RECORDS_LIKE = pa.schema(
    [
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)


def _digests(records: pa.Table) -> pl.DataFrame:
    """RecordRef, and one digest of all that a record says."""
    plain = pa.Table.from_arrays(
        [pc.cast(records.column(field.name), field.type) for field in RECORDS_LIKE], schema=RECORDS_LIKE
    )
    frame = pl.DataFrame(pl.from_arrow(plain))
    return frame.select("partition", "offset", digest=pl.struct("timestamp", "key", "value").hash(seed=11))


def with_bronze_partitions(log: Log, topic: str, incarnation: Incarnation) -> RenumberedLog:
    """The log in bronze's numbers, for one topic."""
    incarnations: Mapping[str, Incarnation] = {topic: incarnation}
    return RenumberedLog(log, incarnations)
