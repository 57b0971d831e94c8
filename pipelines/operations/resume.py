"""`animeverse resume TOPIC`: a person says that reading goes on although the topic is not what bronze was read from.

One commit to bronze without rows moves the positions; the event rides in the same snapshot's summary and is written to
`ops.log_gaps` from there, by this command or by the next run. A death in between loses nothing and repeats nothing.
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
from pipelines.config.settings import Settings
from pipelines.contracts.registry import TOPICS
from pipelines.contracts.tables import BRONZE
from pipelines.fault_points import fault_point
from pipelines.home_lock import home_lock
from pipelines.lake.catalog import Lake, LakeTable, open_lakehouse
from pipelines.log.interface import Log, TopicState
from pipelines.log.open import open_log


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was decided for one topic; no gaps: nothing stood in the way, and nothing was written."""

    topic: str
    gaps: tuple[Gap, ...]
    reads_on: dict[int, int]  # by partition, in bronze's numbers

    @property
    def records_lost(self) -> int:
        """Of those that can be counted."""
        return sum(gap.records_lost or 0 for gap in self.gaps)

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "topic": self.topic,
            "records_lost": self.records_lost,
            "gaps": [asdict(gap) for gap in self.gaps],
            "reads_on": {str(partition): offset for partition, offset in sorted(self.reads_on.items())},
        }


def resume(settings: Settings, topics: Sequence[str], clock: Clock) -> list[Resumed]:
    """Make each topic readable again from what its log holds now, and note what is lost.

    Raises AlreadyRunningError while a run holds the home, NoLakehouseError, and what log and store raise.
    """
    with closing(open_lakehouse(settings)) as lake, home_lock(settings.home):
        log = open_log(settings.log_url, kafka=settings.kafka, topic_prefix=settings.topic_prefix)
        with closing(log):
            log.ensure_topics(list(TOPICS), settings.partitions)
            return [_resume(lake, log, topic, clock) for topic in topics]


def _resume(lake: Lake, log: Log, topic: str, clock: Clock) -> Resumed:
    table = ensure_bronze(lake, topic)
    at = Position.of(table)
    seen = compare_with_log(table, log, topic, at)
    state, found = seen.state, list(seen.gaps)
    if not found:
        own = {p: at.next_offsets.get(p, first) for p, first in state.first_offsets.items()}
        return Resumed(topic, (), own)
    if is_other(found):
        position, found = _other(table, log, topic, at, found)
    else:
        moved = {gap.partition: state.first_offsets[gap.partition] for gap in found}
        position = replace(at, next_offsets={**at.next_offsets, **moved}, first_offsets=state.first_offsets)
    rows = [_row(topic, gap, at, position, clock()) for gap in found]
    position = replace(position, gaps=(*at.gaps, *rows))
    table.append(BRONZE.empty_table(), position.checkpoint())
    fault_point("resume.committed")
    write_gaps(lake, rows)
    own = {p: offset for p, offset in position.next_offsets.items() if position.incarnation.owns(p)}
    return Resumed(topic, tuple(found), own)


def _other(table: LakeTable, log: Log, topic: str, at: Position, found: Sequence[Gap]) -> tuple[Position, list[Gap]]:
    """The position in a new incarnation, which begins behind what bronze has of this very topic already."""
    state: TopicState = log.topic_state(topic)
    shared = shared_until(table, log, topic, at)
    new = Incarnation(at.newest + 1, log.identity, state.topic_id, shared)
    if any(gap.cause == "log_restored" for gap in found):
        found = restored(at, shared) or list(found)
    lost = [
        Gap(new.in_bronze(partition), "retention", 0, first - 1, first)
        for partition, first in sorted(state.first_offsets.items())
        if first > 0 and (log.identity, state.topic_id) not in [(i.log_id, i.topic_id) for i in at.all_incarnations]
    ]
    position = replace(
        at,
        log_id=log.identity,
        topic_id=state.topic_id,
        next_offsets={**at.next_offsets, **{new.in_bronze(p): offset for p, offset in shared.items()}},
        first_offsets={new.in_bronze(p): max(offset, shared[p]) for p, offset in state.first_offsets.items()},
        incarnations=(*at.all_incarnations, new),
    )
    return position, [*found, *lost]


def _row(topic: str, gap: Gap, old: Position, new: Position, now: datetime) -> dict[str, Any]:
    """A row of `ops.log_gaps`, JSON-able."""
    return {
        "topic": topic,
        **asdict(gap),
        "decided_at": now.isoformat(),
        "old_log_id": old.log_id,
        "new_log_id": new.log_id,
        "old_topic_id": old.topic_id,
        "new_topic_id": new.topic_id,
    }
