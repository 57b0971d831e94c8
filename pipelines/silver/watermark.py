"""Event time per topic partition, and the watermark of a topic, as pure functions (R14-R17).

Times are integers, microseconds since the epoch in UTC. They are exact for the years 0001 to 9999.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.clock import micros
from pipelines.config.policies import Policy

DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class PartitionState:
    """The state of one topic partition: the greatest event time and the greatest record timestamp, in microseconds."""

    high: int | None = None
    last_record_at: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionWatermark:
    """One partition's row of `ops.watermarks`."""

    partition: int
    high: int | None
    last_record_at: int | None
    is_idle: bool
    watermark: int | None  # high - out_of_orderness


def partition_watermarks(
    partitions: Mapping[int, PartitionState], *, out_of_orderness: int, idle_timeout: int
) -> list[PartitionWatermark]:
    """The watermark of each partition, by partition.

    A partition is idle when its last record is older than the newest of the topic by more than `idle_timeout`.
    Partitions without a high do not count as newest.
    """
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
    """The least watermark of the partitions that are not idle; None where none of them has a high."""
    found = partition_watermarks(partitions, out_of_orderness=out_of_orderness, idle_timeout=idle_timeout)
    return min((one.watermark for one in found if not one.is_idle and one.watermark is not None), default=None)


def ended_before(watermarks: Iterable[int | None]) -> int | None:
    """The last midnight that every watermark has reached: all days before it have ended.

    None where a watermark is None, and for no watermarks.
    """
    known = list(watermarks)
    if not known or any(watermark is None for watermark in known):
        return None
    least = min(watermark for watermark in known if watermark is not None)
    return least // DAY * DAY


def horizon(partitions: Mapping[int, PartitionState], policy: Policy) -> int:
    """The least event_time of accepted events that partitions which are not idle may still send copies of (R21)."""
    found = partition_watermarks(partitions, out_of_orderness=0, idle_timeout=micros(policy.idle_timeout))
    highs = [one.high for one in found if not one.is_idle and one.high is not None]
    return min(highs) - micros(policy.allowed_lateness) if highs else UNBOUNDED


UNBOUNDED = -(2**63)
