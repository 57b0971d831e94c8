"""Whether a topic is still the one that bronze was read from, and which records are missing if not.

Compares the ids of log and topic, and each partition's read position and first offset with the log's current ones. All
partition numbers are bronze's (see incarnations.py). Changes nothing; `operations/resume.py` accepts the differences on
request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bronze.incarnations import STRIDE, Incarnation, RenumberedLog, in_log
from pipelines.bronze.position import Position
from pipelines.lake.frames import to_frame
from pipelines.lake.table import LakeTable
from pipelines.log.interface import Log, TopicState
from pipelines.log.scan import scan

Cause = Literal["retention", "topic_made_anew", "other_log", "log_restored"]
_CHUNK = 100_000  # records compared at once


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets of one partition at which the log and bronze differ. `offset_to` is inclusive.

    None means unknown: the records of a deleted topic that bronze had not read.
    """

    partition: int
    cause: Cause
    offset_from: int
    offset_to: int | None
    records_lost: int | None  # unread offsets that are gone, holes included


@dataclass(frozen=True, slots=True)
class TopicComparison:
    """The current state of a topic, in bronze's numbers, and its gaps. Without gaps reading can continue."""

    state: TopicState
    gaps: tuple[Gap, ...]


def compare_with_log(table: LakeTable, log: Log, topic: str, position: Position) -> TopicComparison:
    """Compare a topic with bronze. Reads records only if the log may be an older copy: removed offsets are back."""
    state = with_bronze_partitions(log, topic, position.incarnation).topic_state(topic)
    gaps = _gaps(position, log.identity, state)
    if not is_other(gaps) and _is_earlier(position, state):
        gaps = restored(position, shared_until(table, log, topic, position)) + gaps
    return TopicComparison(state, tuple(gaps))


def _gaps(position: Position, log_id: str, state: TopicState) -> list[Gap]:
    if position.log_id is None:
        return []
    current = position.incarnation
    read = {p: offset for p, offset in position.next_offsets.items() if current.owns(p)}
    if (position.log_id, position.topic_id) != (log_id, state.topic_id):
        cause: Cause = "other_log" if position.log_id != log_id else "topic_made_anew"
        old = [Gap(partition, cause, offset, None, None) for partition, offset in sorted(read.items())]
        return old or [Gap(current.in_bronze(0), cause, 0, None, None)]
    gaps = []
    for partition, offset in sorted(read.items()):
        if partition not in state.end_offsets:
            gaps.append(Gap(partition, "topic_made_anew", offset, None, None))
        elif offset > state.end_offsets[partition]:
            gaps.append(Gap(partition, "log_restored", state.end_offsets[partition], offset - 1, 0))
        elif offset < state.first_offsets[partition]:
            gaps.append(_removed(partition, offset, state.first_offsets[partition]))
    # Partitions that were added after bronze's last commit and have already lost records.
    new = {p: first for p, first in state.first_offsets.items() if read and p not in read and first > 0}
    return gaps + [_removed(partition, 0, first) for partition, first in sorted(new.items())]


def _removed(partition: int, position: int, first: int) -> Gap:
    return Gap(partition, "retention", position, first - 1, first - position)


def restored(position: Position, shared: Mapping[int, int]) -> list[Gap]:
    """A gap for each partition of which bronze has more records than it shares with the log (see `shared_until`)."""
    shared_offsets = (
        (position.incarnation.in_bronze(partition), offset) for partition, offset in sorted(shared.items())
    )
    return [
        Gap(partition, "log_restored", offset, position.next_offsets[partition] - 1, 0)
        for partition, offset in shared_offsets
        if offset < position.next_offsets.get(partition, 0)
    ]


def _is_earlier(position: Position, state: TopicState) -> bool:
    """Whether the log begins at a lower offset than at the last commit, so that it may be an older copy."""
    return any(state.first_offsets.get(partition, first) < first for partition, first in position.first_offsets.items())


def is_other(gaps: Sequence[Gap]) -> bool:
    """Whether records that are read from now on need new partition numbers."""
    return any(gap.cause != "retention" for gap in gaps)


def shared_until(table: LakeTable, log: Log, topic: str, position: Position) -> dict[int, int]:
    """By partition of the log, the offset after the last record that both bronze and the log hold.

    From that offset on the log has only unread records. If it has none, the offset is the read position. `log` has its
    own partition numbers and is read from its beginning.
    """
    state = log.topic_state(topic)
    same = [own for own in position.all_incarnations if (own.log_id, own.topic_id) == (log.identity, state.topic_id)]
    known = _bronze_records(table, same)
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
        digests, keys = _digests(records), ["partition", "offset", "digest"]
        for last, how in comparisons:
            matches = digests.join(known, on=keys, how=how, maintain_order="left").group_by("partition")
            for partition, offset in matches.agg(pl.col("offset").max()).iter_rows():
                last[partition] = max(last[partition], offset)
    return {p: last_same[p] + 1 if last_same[p] < last_other[p] else until[p] for p in until}


def _bronze_records(table: LakeTable, same: Sequence[Incarnation]) -> pl.DataFrame:
    """Bronze's records of these incarnations, with the log's partition numbers; newer incarnations take precedence."""
    parts = [_digests(_COMPARED.empty_table()).with_columns(number=pl.lit(0))]
    numbers = pl.Series([own.number for own in same], dtype=pl.Int64)
    for batch in table.read_streamed(["partition", "offset", "timestamp", "key", "value"]):
        frame = _digests(pa.Table.from_batches([batch])).filter(pl.col("partition") >= 0)
        frame = frame.with_columns(number=pl.col("partition").cast(pl.Int64) // STRIDE)
        parts.append(
            frame.filter(pl.col("number").is_in(numbers.implode())).with_columns(pl.col("number").cast(pl.Int32))
        )
    records = pl.concat(parts).with_columns(pl.col("partition") % STRIDE).sort("number")
    return records.unique(["partition", "offset"], keep="last").drop("number")


_COMPARED = pa.schema(
    [
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
    ]
)


def _digests(records: pa.Table) -> pl.DataFrame:
    """The partition and offset of each record, and a digest of its timestamp, key and value."""
    compared = pa.Table.from_arrays(
        [pc.cast(records.column(field.name), field.type) for field in _COMPARED], schema=_COMPARED
    )
    return to_frame(compared).select("partition", "offset", digest=pl.struct("timestamp", "key", "value").hash(seed=11))


def with_bronze_partitions(log: Log, topic: str, incarnation: Incarnation) -> RenumberedLog:
    """The log with bronze's partition numbers for one topic."""
    return RenumberedLog(log, {topic: incarnation})
