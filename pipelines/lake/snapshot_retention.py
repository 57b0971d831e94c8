"""Which snapshots to expire. A thinned history keeps time travel far-reaching and commits fast. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.config.policies import Retention


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """One retained snapshot with the facts that retention depends on."""

    snapshot_id: int
    parent_id: int | None
    committed_at: datetime
    has_checkpoint: bool
    is_rewrite: bool  # a compaction: its parent keeps the files that it replaced


def expendable(
    snapshots: Sequence[SnapshotLine], now: datetime, retention: Retention, pinned: Collection[int] = ()
) -> list[int]:
    """Ids that may be expired, oldest first. `snapshots` are ordered oldest first; the last is the current one.

    Never expired: the current snapshot; a pinned snapshot and all after it, which its reader still has to read; the
    newest snapshot with a checkpoint and all after it.
    """
    if not snapshots:
        return []
    kept = {line.snapshot_id for line in snapshots[-max(1, retention.commits) :]}
    kept |= _last_of_each(snapshots, now - timedelta(hours=retention.hours), "%Y-%m-%d %H")
    kept |= _last_of_each(snapshots, now - timedelta(days=retention.days), "%Y-%m-%d")
    replaced = [line for line in snapshots if line.is_rewrite and line.committed_at > now - retention.grace]
    kept |= {line.parent_id for line in replaced if line.parent_id is not None}
    with_checkpoint = [index for index, line in enumerate(snapshots) if line.has_checkpoint]
    needed = [index for index, line in enumerate(snapshots) if line.snapshot_id in pinned]
    first_needed = min([*with_checkpoint[-1:], *needed, len(snapshots) - 1])
    return [line.snapshot_id for line in snapshots[:first_needed] if line.snapshot_id not in kept]


def _last_of_each(snapshots: Sequence[SnapshotLine], since: datetime, period: str) -> set[int]:
    last = {line.committed_at.strftime(period): line.snapshot_id for line in snapshots if line.committed_at >= since}
    return set(last.values())
