"""Event time per topic partition, and the watermark of a topic: pure functions. Source: R14-R17.

Times are microseconds since the epoch, UTC, as plain integers: exact from year 0001 to 9999.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.clock import micros
from pipelines.config.policies import Policy

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class PartitionState:
    """All that is kept of one topic partition: the pair (high, greatest record timestamp), both in microseconds."""

    high: int | None = None
    last_record_at: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionWatermark:
    """What `ops.watermarks` shows of one partition."""

    partition: int
    high: int | None
    last_record_at: int | None
    is_idle: bool
    watermark: int | None  # high - out_of_orderness


def partition_watermarks(
    partitions: Mapping[int, PartitionState], *, out_of_orderness: int, idle_timeout: int
) -> list[PartitionWatermark]:
    """Each partition's share, by partition. Partitions without a high count for nothing, not for idleness either."""
    times = [s.last_record_at for s in partitions.values() if s.high is not None and s.last_record_at is not None]
    newest = max(times, default=None)
    return [
        PartitionWatermark(
            partition,
            state.high,
            state.last_record_at,
            newest is not None and state.last_record_at is not None and state.last_record_at < newest - idle_timeout,
            None if state.high is None else state.high - out_of_orderness,
        )
        for partition, state in sorted(partitions.items())
    ]


def topic_watermark(
    partitions: Mapping[int, PartitionState], *, out_of_orderness: int, idle_timeout: int
) -> int | None:
    """The least of high - out_of_orderness over the partitions that are not idle; None where none has a high."""
    shares = partition_watermarks(partitions, out_of_orderness=out_of_orderness, idle_timeout=idle_timeout)
    return min((share.watermark for share in shares if not share.is_idle and share.watermark is not None), default=None)


def ended_before(watermarks: Iterable[int | None]) -> int | None:
    """Midnight up to which every watermark has come: all days before it have ended. None where one has no watermark."""
    known = list(watermarks)
    if not known or any(watermark is None for watermark in known):
        return None
    least = min(watermark for watermark in known if watermark is not None)
    return least // DAY * DAY


def horizon(partitions: Mapping[int, PartitionState], policy: Policy) -> int:
    """From which event_time on the partitions that are not idle may still meet a copy (R21)."""
    shares = partition_watermarks(partitions, out_of_orderness=0, idle_timeout=micros(policy.idle_timeout))
    highs = [share.high for share in shares if not share.is_idle and share.high is not None]
    return min(highs) - micros(policy.allowed_lateness) if highs else UNBOUNDED


UNBOUNDED = -(2**63)
