"""`animeverse resume TOPIC`: accepts a replaced, recreated or truncated topic and continues reading it.

One commit to bronze without rows moves the positions. The gap is recorded in the same snapshot's summary; this command
or the next run copies it from there to `ops.log_gaps`. A crash in between loses nothing and repeats nothing.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipelines.bronze.incarnations import Incarnation
from pipelines.bronze.log_gaps import write_gaps
from pipelines.bronze.position import Position
from pipelines.bronze.table import ensure_bronze
from pipelines.bronze.topic_identity import Gap, compare_with_log, is_other, restored, shared_until
from pipelines.clock import Clock
from pipelines.config.log import open_log_of
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import BRONZE
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.log.interface import Log


@dataclass(frozen=True, slots=True)
class Resumed:
    """The result for one topic. Without gaps the topic was readable, and nothing was written."""

    topic: str
    gaps: tuple[Gap, ...]
    reads_on: dict[int, int]  # next offset by bronze partition

    @property
    def records_lost(self) -> int:
        """The number of lost records, without those that cannot be counted."""
        return sum(gap.records_lost or 0 for gap in self.gaps)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {
            "topic": self.topic,
            "records_lost": self.records_lost,
            "gaps": [asdict(gap) for gap in self.gaps],
            "reads_on": {str(partition): offset for partition, offset in sorted(self.reads_on.items())},
        }


def resume(settings: Settings, topics: Sequence[str], clock: Clock) -> list[Resumed]:
    """Make each topic readable again from what its log holds now, and record the gaps.

    Raises AlreadyRunningError while a run holds the home, NoLakehouseError, and the errors of log and store.
    """
    with closing(open_lakehouse(settings)) as lake, home_lock(settings.home), closing(open_log_of(settings)) as log:
        log.ensure_topics(list(TOPICS), settings.partitions)
        return [_resume_topic(lake, log, topic, clock) for topic in topics]


def _resume_topic(lake: Lake, log: Log, topic: str, clock: Clock) -> Resumed:
    table = ensure_bronze(lake, topic)
    old = Position.of(table)
    comparison = compare_with_log(table, log, topic, old)
    state, gaps = comparison.state, list(comparison.gaps)
    if not gaps:
        return Resumed(topic, (), {p: old.next_offsets.get(p, first) for p, first in state.first_offsets.items()})
    if is_other(gaps):
        new, gaps = _start_incarnation(table, log, topic, old, gaps)
    else:
        first_offsets = {gap.partition: state.first_offsets[gap.partition] for gap in gaps}
        new = replace(old, next_offsets={**old.next_offsets, **first_offsets}, first_offsets=state.first_offsets)
    rows = [_gap_row(topic, gap, old, new, clock()) for gap in gaps]
    new = replace(new, gaps=(*old.gaps, *rows))
    table.append(BRONZE.empty_table(), new.checkpoint())
    fault_point("resume.committed")
    write_gaps(lake, rows)
    reads_on = {p: offset for p, offset in new.next_offsets.items() if new.incarnation.owns(p)}
    return Resumed(topic, tuple(gaps), reads_on)


def _start_incarnation(
    table: LakeTable, log: Log, topic: str, old: Position, gaps: Sequence[Gap]
) -> tuple[Position, list[Gap]]:
    """Return the position in a new incarnation and the gaps to record.

    The incarnation begins after the records that bronze already holds of the same topic.
    """
    state = log.topic_state(topic)
    shared = shared_until(table, log, topic, old)
    new = Incarnation(old.newest + 1, log.identity, state.topic_id, shared)
    if any(gap.cause == "log_restored" for gap in gaps):
        gaps = restored(old, shared) or list(gaps)
    known_topics = [(incarnation.log_id, incarnation.topic_id) for incarnation in old.all_incarnations]
    lost = [
        Gap(new.in_bronze(partition), "retention", 0, first - 1, first)
        for partition, first in sorted(state.first_offsets.items())
        if first > 0 and (log.identity, state.topic_id) not in known_topics
    ]
    position = replace(
        old,
        log_id=log.identity,
        topic_id=state.topic_id,
        next_offsets={**old.next_offsets, **{new.in_bronze(p): offset for p, offset in shared.items()}},
        first_offsets={new.in_bronze(p): max(offset, shared[p]) for p, offset in state.first_offsets.items()},
        incarnations=(*old.all_incarnations, new),
    )
    return position, [*gaps, *lost]


def _gap_row(topic: str, gap: Gap, old: Position, new: Position, now: datetime) -> dict[str, Any]:
    """Return a row of `ops.log_gaps`, JSON-able."""
    return {
        "topic": topic,
        **asdict(gap),
        "decided_at": now.isoformat(),
        "old_log_id": old.log_id,
        "new_log_id": new.log_id,
        "old_topic_id": old.topic_id,
        "new_topic_id": new.topic_id,
    }
