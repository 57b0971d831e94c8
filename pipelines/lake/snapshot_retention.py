"""Which snapshots may go: a thinned history, so that time travel reaches far back and commits stay fast. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.config.policies import Retention


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """One retained snapshot, as far as its retention asks."""

    snapshot_id: int
    parent_id: int | None
    committed_at: datetime
    is_stamped: bool  # says where to read on
    is_rewrite: bool  # compaction: the files that it replaced live on in its parent


def expendable(
    snapshots: Sequence[SnapshotLine], now: datetime, retention: Retention, pinned: Collection[int] = ()
) -> list[int]:
    """Ids that may be expired, oldest first; `snapshots` oldest first, the last is the current one.

    Never among them: the current snapshot, a pinned one or what came after it (who reads on from there needs them
    all), the newest stamped one and what came after it.
    """
    if not snapshots:
        return []
    kept = {line.snapshot_id for line in snapshots[-max(1, retention.commits) :]}
    kept |= _last_of_each(snapshots, now - timedelta(hours=retention.hours), "%Y-%m-%d %H")
    kept |= _last_of_each(snapshots, now - timedelta(days=retention.days), "%Y-%m-%d")
    replaced = [line for line in snapshots if line.is_rewrite and line.committed_at > now - retention.grace]
    kept |= {line.parent_id for line in replaced if line.parent_id is not None}
    stamped = [place for place, line in enumerate(snapshots) if line.is_stamped]
    needed = [place for place, line in enumerate(snapshots) if line.snapshot_id in pinned]
    first_needed = min([*stamped[-1:], *needed, len(snapshots) - 1])
    return [line.snapshot_id for line in snapshots[:first_needed] if line.snapshot_id not in kept]


def _last_of_each(snapshots: Sequence[SnapshotLine], since: datetime, period: str) -> set[int]:
    found = {line.committed_at.strftime(period): line.snapshot_id for line in snapshots if line.committed_at >= since}
    return set(found.values())
