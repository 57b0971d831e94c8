"""The watermarks of pipeline and reference are equal for any per-partition state (R16)."""

import random

from pipelines.clock import micros, to_micros
from pipelines.silver.watermark import PartitionState as Theirs
from pipelines.silver.watermark import partition_watermarks, topic_watermark
from tests.reference.contract import Policy
from tests.reference.samples import at
from tests.reference.silver import PartitionState, Silver, idle_partitions, watermark

TOPIC = "pos-transactions"


def states(rng: random.Random) -> dict[int, PartitionState]:
    """Up to five partitions; highs and record times around each other's boundaries, or missing."""
    highs, clocks = [None, 0, 0.000001, 5, 1000], [None, 0, 299.999999, 300, 300.000001, 9999]
    made = {}
    for partition in rng.sample(range(-1, 5), rng.randrange(6)):
        high, clock = rng.choice(highs), rng.choice(clocks)
        made[partition] = PartitionState(None if high is None else at(high), None if clock is None else at(clock))
    return made


def test_watermarks_are_equal_for_any_state() -> None:
    policy = Policy()
    durations = {"out_of_orderness": micros(policy.out_of_orderness), "idle_timeout": micros(policy.idle_timeout)}
    found = []
    for seed in range(3000):
        made = states(random.Random(seed))
        silver = Silver(partitions={(TOPIC, partition): state for partition, state in made.items()})
        theirs = {
            partition: Theirs(
                None if state.high is None else to_micros(state.high),
                None if state.last_record_at is None else to_micros(state.last_record_at),
            )
            for partition, state in made.items()
        }
        expected = watermark(silver, TOPIC, policy)
        mark = topic_watermark(theirs, **durations)
        idle = {one.partition for one in partition_watermarks(theirs, **durations) if one.is_idle}
        counted = {partition for partition, state in made.items() if state.high is not None}
        same = mark == (None if expected is None else to_micros(expected))
        if not same or idle & counted != idle_partitions(silver, TOPIC, policy):
            found.append(
                f"{made}: {expected}, idle {idle_partitions(silver, TOPIC, policy)} expected, found {mark}, {idle}"
            )
    assert found == [], "\n".join(found[:10])
